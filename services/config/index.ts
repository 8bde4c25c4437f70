export { type CommandLine, helpText, type Switches } from './command-line.ts';
export { type Directories, directoriesOf, type S3Settings, s3SettingsOf } from './directories.ts';
export { presentValue } from './format-value.ts';
export { ConfigError, type LoadedConfig, loadConfig } from './load.ts';
export { configurationDocs, presentLimits, presentLimitsDiff, printConfig } from './print.ts';
export { type Config, schema } from './schema.ts';
export { GROUPS, parseTargets, SERVICES, type Service } from './targets.ts';
export { TenantLimits } from './tenant-limits.ts';
export { readVersion, type Version } from './version.ts';
