/** A Dockerfile read: stages of instructions, without what only a container engine can do. */

export interface Instruction {
  readonly name: string;
  /** Options such as `--from=build`. */
  readonly options: Readonly<Record<string, string>>;
  /** The rest of the line; continued lines are joined. */
  readonly text: string;
}

export interface Stage {
  readonly name: string | undefined;
  readonly from: string;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  /** Arguments before the first stage, with their defaults. */
  readonly args: Readonly<Record<string, string>>;
  readonly stages: readonly Stage[];
}

export function parseDockerfile(source: string): Dockerfile {
  const args: Record<string, string> = {};
  const stages: { name: string | undefined; from: string; instructions: Instruction[] }[] = [];
  const lines = source.replace(/^\s*#.*\n/gm, '').replace(/\\\n\s*/g, '');
  for (const line of lines.split('\n').filter((text) => text.trim() !== '')) {
    const match = /^([A-Z]+)((?: +--[a-z-]+=\S+)*) +(.+)$/.exec(line);
    if (match === null) throw new Error(`not an instruction: ${line}`);
    const [, name, optionsText, text] = match as unknown as [string, string, string, string];
    const options = Object.fromEntries(
      [...optionsText.matchAll(/--([a-z-]+)=(\S+)/g)].map(([, option, value]) => [option!, value!]),
    );
    if (name === 'FROM') {
      const [image, as, stageName] = text.split(/ +/);
      if (as !== undefined && as !== 'AS') throw new Error(`not understood: ${line}`);
      const from = image!.replace(/\$\{([A-Z_]+)\}/g, (_, variable: string) => {
        if (args[variable] === undefined) throw new Error(`${variable} has no default`);
        return args[variable];
      });
      stages.push({ name: stageName, from, instructions: [] });
    } else if (stages.length === 0 && name === 'ARG') {
      const [variable, value] = text.split('=');
      args[variable!] = value ?? '';
    } else {
      const stage = stages.at(-1);
      if (stage === undefined) throw new Error(`before the first stage: ${line}`);
      stage.instructions.push({ name, options, text });
    }
  }
  return { args, stages };
}

/** Sources and target of a COPY. */
export function copyOf(instruction: Instruction): { readonly sources: readonly string[]; readonly target: string } {
  const paths = instruction.text.split(/ +/);
  return { sources: paths.slice(0, -1), target: paths.at(-1)! };
}

/** The list of an instruction in exec form: ENTRYPOINT ["node", …]. */
export function execForm(stage: Stage, name: string): readonly string[] {
  const text = stage.instructions.findLast((instruction) => instruction.name === name)?.text;
  if (text === undefined) throw new Error(`no ${name}`);
  return JSON.parse(text.slice(text.indexOf('['))) as string[];
}

/**
 * What of `paths` the build sees, by the rules of a .dockerignore: the last pattern that fits decides, and a pattern that fits a
 * folder fits what is in it.
 */
export function visiblePaths(paths: readonly string[], ignoreFile: string): string[] {
  const patterns = ignoreFile
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ isKept: line.startsWith('!'), expression: toExpression(line.replace(/^!/, '')) }));
  return paths.filter((path) => {
    const last = patterns.findLast(({ expression }) => expression.test(path));
    return last === undefined || last.isKept;
  });
}

function toExpression(pattern: string): RegExp {
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('**/', '\u0000')
    .replaceAll('*', '[^/]*')
    .replaceAll('\u0000', '(?:.*/)?');
  return new RegExp(`^${escaped}(?:/.*)?$`);
}
