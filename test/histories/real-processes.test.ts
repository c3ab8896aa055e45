import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { runHistory, type HistoryRunResult } from './history-run.ts';

/** Founding, healing and the audits beside the run itself, on a busy machine. */
const TEST_MS_MAX = 300_000;

let directory = '';
let printed: string[] = [];

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'dht-histories-'));
  printed = [];
});

afterEach(() => {
  delete process.env['HISTORIES_BUG'];
  rmSync(directory, { recursive: true });
});

async function run(seconds: number, entryPoint: string | null, isKeptWhenWrong: boolean): Promise<HistoryRunResult> {
  return await runHistory({ seed: 5, seconds, nodes: 5, clients: 6, file: path.join(directory, 'history.jsonl'), entryPoint, isKeptWhenWrong, print: (line) => printed.push(line) })
    .catch((error: unknown) => { throw new Error(`${String(error)}\n${printed.join('\n')}`); });
}

test('the histories of a ring of real processes under kills, stops, cut wires, wiped disks, joins and leaves are linearizable, and nothing is lost', async () => {
  const { wrong, operations, faults } = await run(20, null, true);
  if (wrong.length > 0) throw new Error(`${wrong.join('\n')}\n${printed.join('\n')}`);
  expect(operations).toBeGreaterThan(100);
  expect([...faults.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(4);
}, TEST_MS_MAX);

test('a run notices nodes that lose acknowledged deletes', async () => {
  process.env['HISTORIES_BUG'] = 'lostDeletes';
  const { wrong } = await run(8, path.join(import.meta.dirname, 'planted-bug-node.ts'), false);
  expect(wrong.filter((text) => text.includes('is not linearizable'))).not.toEqual([]);
}, TEST_MS_MAX);
