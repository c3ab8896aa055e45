/**
 * Whole nodes on many seeds, each with several names, several sizes of body, a crash and a change of the layout, in two
 * processes of their own. Prints progress, and in the end what happened how often: what never happened proves nothing.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { SwarmTotals } from '../../src/sim/swarm-summary.ts';
import { missing, totalsText } from '../../src/sim/swarm-summary.ts';

const SIM = path.resolve(import.meta.dirname, '../../src/sim');
const SEEDS = 500;
const JOBS = 2;
/** One seed of so many is run twice and its digests compared. */
const TWICE = 20;
const SWARM_MS_MAX = 480_000;

/** Runs a program of the simulator and gives its exit code and its lines. */
function runProgram(file: string, args: readonly string[], onLine: (line: string) => void): Promise<{ readonly exitCode: number | null; readonly lines: readonly string[] }> {
  const child = spawn(process.execPath, [path.join(SIM, file), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  let pending = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    const parts = (pending + text).split('\n');
    pending = parts.pop() ?? '';
    for (const line of parts) {
      lines.push(line);
      onLine(line);
    }
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => resolve({ exitCode, lines }));
  });
}

describe('whole nodes', () => {
  test(`hold every promise on ${SEEDS} seeds`, async () => {
    const startedMs = Date.now();
    const progress = (line: string): void => {
      if (!line.startsWith('{')) process.stderr.write(`${line}\n`);
    };
    const { exitCode, lines } = await runProgram('swarm-main.ts', ['--seeds', String(SEEDS), '--jobs', String(JOBS), '--twice', String(TWICE), '--json'], progress);
    expect(lines.filter((line) => line.includes('FAILED'))).toEqual([]);
    expect(exitCode).toBe(0);
    const { totals } = JSON.parse(lines.at(-1) ?? '{}') as { totals: SwarmTotals };
    process.stderr.write(`${totalsText(totals)}\n${Math.round((Date.now() - startedMs) / 1000)} s\n`);
    expect(totals.seeds).toBe(SEEDS);
    expect(totals.counts['runs with a crash']).toBe(SEEDS);
    expect(totals.counts['runs with a layout change']).toBe(SEEDS);
    expect(missing(totals)).toEqual([]);
  }, SWARM_MS_MAX);

  test('a seed gives the same digest in another process', async () => {
    const digestOf = async (seed: number): Promise<string> => {
      const { lines } = await runProgram('main.ts', ['--seed', String(seed), '--lines', '0'], () => {});
      return lines.find((line) => line.startsWith('digest ')) ?? '';
    };
    const [first, second, other] = await Promise.all([digestOf(3), digestOf(3), digestOf(4)]);
    expect(first).toMatch(/^digest [0-9a-f]{64}$/);
    expect(second).toBe(first);
    expect(other).not.toBe(first);
  }, SWARM_MS_MAX);
});
