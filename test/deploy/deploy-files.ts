/** The files below deploy/, read as their users read them. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments, parseDocument } from 'yaml';

export const ROOT = join(import.meta.dirname, '..', '..');

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** `path` is relative to the root of the repository. */
export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

export function filesBelowDeploy(pattern: string): string[] {
  return globSync(`deploy/${pattern}`, { cwd: ROOT }).sort();
}

/** Rejects a key that is there twice, as the programs do that read these files. */
export function readYamlFile(path: string): JsonObject {
  const document = parseDocument(readText(path), { merge: true });
  for (const problem of [...document.errors, ...document.warnings]) throw new Error(`${path}: ${problem.message}`);
  return document.toJS() as JsonObject;
}

export function readYamlDocuments(path: string): JsonObject[] {
  return parseAllDocuments(readText(path)).map((document) => {
    for (const problem of [...document.errors, ...document.warnings]) throw new Error(`${path}: ${problem.message}`);
    return document.toJS() as JsonObject;
  });
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value below names and indexes; undefined where there is none. */
export function at(value: Json | undefined, ...path: readonly (string | number)[]): Json | undefined {
  for (const part of path) {
    if (value === null || typeof value !== 'object') return undefined;
    value = (value as { readonly [key: string]: Json })[part];
  }
  return value;
}

export function list(value: Json | undefined): readonly Json[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Error(`not a list: ${JSON.stringify(value)}`);
  return value as readonly Json[];
}

export function object(value: Json | undefined): JsonObject {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new Error(`not an object: ${JSON.stringify(value)}`);
  return value;
}

/** Every string in it, however deep. */
export function texts(value: Json | undefined): string[] {
  if (typeof value === 'string') return [value];
  if (value === null || typeof value !== 'object') return [];
  return Object.values(value as JsonObject).flatMap((inner) => texts(inner));
}
