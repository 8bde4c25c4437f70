import { BlockList, isIP } from 'node:net';

const family = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6');

/** Whether an address in the text is what the pattern names: an address, a block or a range. */
export function holdsAddress(pattern: string, text: string): boolean {
  const wanted = new BlockList();
  const [first, last] = pattern.split('-');
  const [base, bits] = pattern.split('/');
  if (last !== undefined) wanted.addRange(first!, last, family(first!));
  else if (bits !== undefined) wanted.addSubnet(base!, Number(bits), family(base!));
  else wanted.addAddress(pattern, family(pattern));
  const wantedFamily = family(last !== undefined ? first! : base!);
  for (let at = 0; at < text.length; at++) {
    const rest = text.slice(at);
    const run = startsV4(rest) ? /^[0-9.]+/.exec(rest)![0] : startsV6(rest) ? /^[0-9a-fA-F:.]+/.exec(rest)![0] : null;
    if (run === null) continue;
    if (isIP(run) !== 0 && family(run) === wantedFamily && wanted.check(run, family(run))) return true;
    at += run.length;
  }
  return false;
}

/** A digit and a dot among the three characters after it, with at least that much text. */
function startsV4(text: string): boolean {
  return text.length > 3 && /^[0-9](?:\.|[\s\S]\.|[\s\S][\s\S]\.)/.test(text);
}

/** Up to four hexadecimal digits and a colon, or two colons and a digit. */
function startsV6(text: string): boolean {
  return text.length > 4 && /^(?:[0-9a-fA-F]{1,4}:|::[0-9a-fA-F])/.test(text);
}
