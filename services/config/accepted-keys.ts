import { readFileSync } from 'node:fs';
import { Field, type FieldKind } from './field.ts';

/**
 * Keys of Loki that have no meaning here: they are checked and then ignored with one warning. The list is read on the
 * first look-up, so a configuration of known keys alone never pays for it.
 */
export interface AcceptedKeys {
  readonly byPath: ReadonlyMap<string, AcceptedKey>;
  readonly byFlag: ReadonlyMap<string, AcceptedKey>;
}

export interface AcceptedKey {
  readonly path: string;
  /** Undefined when any shape is taken. */
  readonly field: Field<unknown> | undefined;
}

const KINDS: Readonly<Record<string, FieldKind>> = {
  string: 'string',
  bool: 'bool',
  // Loki writes counts and sizes with the same word.
  int: 'size',
  float: 'float',
  duration: 'duration',
  strings: 'strings',
};

interface Line {
  readonly path: string;
  readonly type: string;
  readonly flag: string;
}

let loaded: AcceptedKeys | undefined;

export function acceptedKeys(): AcceptedKeys {
  loaded ??= load(readFileSync(new URL('./loki-keys.txt', import.meta.url), 'utf8'));
  return loaded;
}

function load(text: string): AcceptedKeys {
  const blocks = readBlocks(text);
  const byPath = new Map<string, AcceptedKey>();
  const byFlag = new Map<string, AcceptedKey>();
  const add = (block: string, pathPrefix: string, flagPrefix: string): void => {
    for (const line of blocks.get(block) ?? []) {
      const path = pathPrefix + line.path;
      if (line.type.startsWith('<')) {
        // A `*` stands for a block whose keys lie beside the others, not below a name of their own.
        add(
          line.type.slice(1, -1),
          path.endsWith('*') ? path.slice(0, -1) : `${path}.`,
          (line.flag || flagPrefix).replace('<prefix>', flagPrefix),
        );
        continue;
      }
      const kind = KINDS[line.type];
      const flag = line.flag.replace('<prefix>', flagPrefix).replace(/^\./, '');
      const key = { path, field: kind && new Field<unknown>(kind, undefined, flag, '', { ignored: true }) };
      byPath.set(path, key);
      if (flag !== '') byFlag.set(flag, key);
    }
  };
  add('root', '', '');
  return { byPath, byFlag };
}

function readBlocks(text: string): Map<string, Line[]> {
  const blocks = new Map<string, Line[]>();
  let current: Line[] = [];
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('[')) {
      current = [];
      blocks.set(line.slice(1, -1), current);
      continue;
    }
    const [path, type, flag] = line.split(' ');
    current.push({ path: path!, type: type!, flag: (flag ?? '').replace(/^-/, '') });
  }
  return blocks;
}
