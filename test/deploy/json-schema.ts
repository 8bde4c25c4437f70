/**
 * As much of JSON Schema (draft 7) as the Compose Specification's schema uses. A keyword beyond that is an error, so that nothing
 * is left unchecked silently.
 */
import { isObject, type Json, type JsonObject } from './deploy-files.ts';

const WITHOUT_MEANING = new Set(['$schema', '$id', '$comment', 'definitions']);

/** What is wrong with `value`, each with its path; empty when nothing is. */
export function violations(schema: JsonObject, value: Json): string[] {
  return new Validator(schema).check(schema, value, '');
}

class Validator {
  readonly #root: JsonObject;

  constructor(root: JsonObject) {
    this.#root = root;
  }

  check(schema: Json, value: Json, path: string): string[] {
    if (schema === true) return [];
    if (schema === false) return [`${path}: is not allowed`];
    if (!isObject(schema)) throw new Error(`not a schema: ${JSON.stringify(schema)}`);
    const found: string[] = [];
    for (const [keyword, rule] of Object.entries(schema)) {
      found.push(...this.#checkKeyword(keyword, rule, schema, value, path));
    }
    return found;
  }

  #checkKeyword(keyword: string, rule: Json, schema: JsonObject, value: Json, path: string): string[] {
    switch (keyword) {
      case '$ref':
        return this.check(this.#resolve(rule as string), value, path);
      case 'type': {
        const allowed = typeof rule === 'string' ? [rule] : (rule as readonly string[]);
        return allowed.some((type) => isOfType(value, type)) ? [] : [`${path}: is no ${allowed.join(' or ')}`];
      }
      case 'enum':
        return (rule as readonly Json[]).includes(value) ? [] : [`${path}: is none of ${JSON.stringify(rule)}`];
      case 'pattern':
        return typeof value !== 'string' || new RegExp(rule as string, 'u').test(value)
          ? []
          : [`${path}: does not match ${rule}`];
      case 'minimum':
        return typeof value !== 'number' || value >= (rule as number) ? [] : [`${path}: is below ${rule}`];
      case 'maximum':
        return typeof value !== 'number' || value <= (rule as number) ? [] : [`${path}: is above ${rule}`];
      case 'uniqueItems': {
        if (!Array.isArray(value) || rule !== true) return [];
        const different = new Set(value.map((item) => JSON.stringify(item)));
        return different.size === value.length ? [] : [`${path}: has an item twice`];
      }
      case 'items':
        return Array.isArray(value) ? value.flatMap((item, i) => this.check(rule, item, `${path}/${i}`)) : [];
      case 'required':
        return isObject(value)
          ? (rule as readonly string[]).filter((name) => !(name in value)).map((name) => `${path}: lacks ${name}`)
          : [];
      case 'oneOf': {
        const results = (rule as readonly Json[]).map((choice) => this.check(choice, value, path));
        const fitting = results.filter((result) => result.length === 0).length;
        if (fitting === 1) return [];
        return [`${path}: fits ${fitting} of ${results.length} forms`, ...(fitting === 0 ? results.flat() : [])];
      }
      case 'properties':
      case 'patternProperties':
      case 'additionalProperties':
        // All three at once, when the first of them is met.
        return keyword === firstOf(schema) && isObject(value) ? this.#checkProperties(schema, value, path) : [];
      default:
        if (WITHOUT_MEANING.has(keyword)) return [];
        throw new Error(`the schema uses ${keyword}, which is not known here`);
    }
  }

  #checkProperties(schema: JsonObject, value: JsonObject, path: string): string[] {
    const named = (schema['properties'] ?? {}) as JsonObject;
    const patterns = Object.entries((schema['patternProperties'] ?? {}) as JsonObject);
    return Object.entries(value).flatMap(([name, inner]) => {
      const rules = patterns.filter(([pattern]) => new RegExp(pattern, 'u').test(name)).map(([, rule]) => rule);
      if (Object.hasOwn(named, name)) rules.push(named[name]!);
      if (rules.length === 0) rules.push(schema['additionalProperties'] ?? true);
      return rules.flatMap((rule) => this.check(rule, inner, `${path}/${name}`));
    });
  }

  #resolve(reference: string): Json {
    let place: Json | undefined = this.#root;
    for (const part of reference.replace(/^#\//, '').split('/')) place = (place as JsonObject | undefined)?.[part];
    if (place === undefined) throw new Error(`the schema has no ${reference}`);
    return place;
  }
}

function firstOf(schema: JsonObject): string | undefined {
  return ['properties', 'patternProperties', 'additionalProperties'].find((keyword) => keyword in schema);
}

function isOfType(value: Json, type: string): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    case 'integer':
      return Number.isInteger(value);
    case 'boolean':
    case 'number':
    case 'string':
      return typeof value === type;
    default:
      throw new Error(`the schema has the type ${type}, which is not known here`);
  }
}
