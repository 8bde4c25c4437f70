/**
 * A label set as evaluation sees it: names ascending, each at most once. Values may be empty (a parser can
 * produce an empty label); a missing name is absent.
 */
export type Labels = readonly Label[];
export type Label = readonly [name: string, value: string];

/** Orders label sets as Loki orders series: name, then value, pair by pair; a prefix comes first. By code unit. */
export function compareLabels(a: Labels, b: Labels): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a[i]!;
    const y = b[i]!;
    if (x[0] !== y[0]) return x[0] < y[0] ? -1 : 1;
    if (x[1] !== y[1]) return x[1] < y[1] ? -1 : 1;
  }
  return a.length - b.length;
}

/** Sorts by name. The caller promises that names are unique. */
export function sortLabels(labels: Iterable<Label>): Labels {
  return [...labels].sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
}

/** A string that is equal exactly when the label sets are equal. Not for people. */
export function labelsKey(labels: Labels): string {
  let key = '';
  for (const [name, value] of labels) key += `${name.length}:${name}${value.length}:${value}`;
  return key;
}
