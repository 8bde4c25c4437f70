import { it } from 'node:test';
import { crashRounds } from './rounds.ts';

it('loses no acknowledged line and shows none twice when it is killed at any moment', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  await crashRounds({ rounds: 2, seed, clients: 3, maxRoundMs: 400, log: (text) => t.diagnostic(text) });
});
