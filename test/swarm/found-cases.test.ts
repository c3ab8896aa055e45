/** Cases that once failed stay: what happens in them is spelled out, so that they mean the same whatever later seeds draw. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { parseCase } from '../../src/sim/run-case.ts';
import { caseRun } from '../../src/sim/swarm-run.ts';

const CASES = path.join(import.meta.dirname, 'cases');

test.each(readdirSync(CASES))('%s', async (file) => {
  const run = caseRun(parseCase(readFileSync(path.join(CASES, file), 'utf8')), 0);
  expect((await run.run()).violations).toEqual([]);
}, 60_000);
