import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { runHistory } from './history-run.ts';

const SECONDS = 20;
/** Founding, healing and the audits beside the run itself, on a busy machine. */
const TEST_MS_MAX = 240_000;

test('the histories of a ring of real processes under kills, stops, cut wires, wiped disks, joins and leaves are linearizable, and nothing is lost', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'dht-histories-'));
  const printed: string[] = [];
  const { wrong, operations, faults } = await runHistory({
    seed: 5, seconds: SECONDS, nodes: 5, clients: 6, file: path.join(directory, 'history.jsonl'), entryPoint: null, print: (line) => printed.push(line),
  }).catch((error: unknown) => { throw new Error(`${String(error)}\n${printed.join('\n')}`); });
  if (wrong.length > 0) throw new Error(`${wrong.join('\n')}\nThe history is in ${directory}.\n${printed.join('\n')}`);
  expect(operations).toBeGreaterThan(100);
  expect([...faults.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(4);
  rmSync(directory, { recursive: true });
}, TEST_MS_MAX);
