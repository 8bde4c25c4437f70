import { readFileSync } from 'node:fs';

export interface Version {
  readonly version: string;
  /** Commit that the package was built from; '' when it runs from sources. */
  readonly revision: string;
}

/** From package.json: that of the sources, or the one that the build puts beside the compiled program. */
export function readVersion(): Version {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version, revision = '' } = JSON.parse(text) as { version: string; revision?: string };
  return { version, revision };
}
