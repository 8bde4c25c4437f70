/** Go's reference time `Mon Jan 2 15:04:05 MST 2006` cut into its elements and the text between them. */
export interface LayoutPart {
  /** Text before the element. */
  readonly prefix: string;
  /** The element as written; '' at the end of the layout. */
  readonly element: string;
}

const cache = new Map<string, readonly LayoutPart[]>();
const MAX_CACHED = 1000;

export function splitLayout(layout: string): readonly LayoutPart[] {
  let parts = cache.get(layout);
  if (parts === undefined) {
    parts = split(layout);
    if (cache.size < MAX_CACHED) cache.set(layout, parts);
  }
  return parts;
}

/** Longest first where one begins another. `Jan` is none before a lower-case letter, as in `January` misspelt. */
const ELEMENT =
  /January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|01|02|03|04|05|06|2006|2|15|1|_2006|__2|_2|3|4|5|PM|pm|-070000|-07:00:00|-0700|-07:00|-07|Z070000|Z07:00:00|Z0700|Z07:00|Z07|[.,](?:0+|9+)(?![0-9])/g;

function split(layout: string): LayoutPart[] {
  const parts: LayoutPart[] = [];
  let from = 0;
  for (const match of layout.matchAll(ELEMENT)) {
    let at = match.index;
    let element = match[0];
    if (element === '_2006') {
      // An underscore that belongs to the text, then the year.
      at++;
      element = '2006';
    }
    parts.push({ prefix: layout.slice(from, at), element });
    from = at + element.length;
  }
  parts.push({ prefix: layout.slice(from), element: '' });
  return parts;
}
