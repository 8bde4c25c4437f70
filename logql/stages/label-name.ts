/** Makes a label name of a key: outer spaces off, every other character than `[A-Za-z0-9_]` an underscore. */
export function sanitizeLabelName(key: string): string {
  const name = cleanName(key);
  return /^[0-9]/.test(name) ? `_${name}` : name;
}

/** Keys of nested objects, joined by `_`; keys without a name are left out. */
export function joinLabelName(prefix: string, key: string): string {
  if (prefix === '') return sanitizeLabelName(key);
  const name = cleanName(key);
  return name === '' ? prefix : `${prefix}_${name}`;
}

function cleanName(key: string): string {
  return key.trim().replace(/[^A-Za-z0-9_]/gu, '_');
}
