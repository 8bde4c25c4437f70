export { compileTemplate, type Template } from './template.ts';
export type { TemplateData } from './template-data.ts';
export { TemplateError } from './template-error.ts';
