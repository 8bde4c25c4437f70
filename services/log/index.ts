export { LOG_LEVELS, type LogLevel, type LogOptions, ProgramLog } from './logger.ts';
