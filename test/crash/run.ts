import { parseArgs } from 'node:util';
import { crashRounds } from './rounds.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    clients: { type: 'string', default: '4' },
    'max-round-ms': { type: 'string', default: '600' },
  },
});
const log = (text: string) => process.stdout.write(`${text}\n`);
log(`seed ${values.seed}`);
await crashRounds({
  rounds: Number(values.rounds),
  seed: Number(values.seed),
  clients: Number(values.clients),
  maxRoundMs: Number(values['max-round-ms']),
  log,
});
