import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configurationDocs } from '../services/config/index.ts';

writeFileSync(join(import.meta.dirname, '..', 'docs', 'configuration.md'), configurationDocs());
