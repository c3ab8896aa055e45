/**
 * `npm run sim:swarm -- --seeds N --from S --jobs J [--json]`: runs whole-node seeds S to S+N-1, each with its own mix of
 * faults, in J processes. Prints progress, every failing seed with its violations and how to replay it, and what
 * happened how often. Exit code 1: a seed failed. With `--json` the last line is the totals for a program to read.
 */
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { ALL_RULES } from '../domain/rules.ts';
import { describe } from './simulation.ts';
import { swarmRun } from './swarm-run.ts';
import type { SwarmTotals } from './swarm-summary.ts';
import { addRun, addTotals, NO_TOTALS, totalsText } from './swarm-summary.ts';
import type { WholeNodeRun } from './whole-node-run.ts';

const PROGRESS_SEEDS = 25;
/** Failing seeds after which a process gives up: more of them tell nothing new. */
const FAILED_MAX = 10;

/** Runs the seeds in this process; gives the totals and how many failed. */
async function runSeeds(from: number, seeds: number): Promise<{ readonly totals: SwarmTotals; readonly failed: number }> {
  let totals = NO_TOTALS;
  let failed = 0;
  let current: WholeNodeRun | null = null;
  process.on('unhandledRejection', (error) => current?.abort(`a promise was rejected and nobody listened: ${describe(error)}`));
  for (let seed = from; seed < from + seeds && failed < FAILED_MAX; seed++) {
    current = swarmRun({ seed, linesMax: 0, rules: ALL_RULES });
    const result = await current.run();
    totals = addRun(totals, result);
    if (result.violations.length > 0) {
      failed++;
      console.log(`seed ${seed} FAILED (replay: npm run sim -- --seed ${seed})`);
      for (const violation of result.violations) console.log(`  ${violation}`);
    }
    if (totals.seeds % PROGRESS_SEEDS === 0) console.log(`${totals.seeds} of ${seeds} seeds from ${from} done, ${failed} failed`);
  }
  return { totals, failed };
}

/** Runs the seeds in processes of their own. */
async function runJobs(from: number, seeds: number, jobs: number): Promise<{ readonly totals: SwarmTotals; readonly failed: number }> {
  const share = Math.ceil(seeds / jobs);
  const parts = Array.from({ length: jobs }, (_, job) => ({ from: from + job * share, seeds: Math.min(share, seeds - job * share) }));
  const results = await Promise.all(
    parts.filter((part) => part.seeds > 0).map(
      (part) =>
        new Promise<{ readonly totals: SwarmTotals; readonly failed: number }>((resolve, reject) => {
          const args = [import.meta.filename, '--from', String(part.from), '--seeds', String(part.seeds), '--jobs', '1', '--json'];
          const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
          let pending = '';
          child.stdout.setEncoding('utf8');
          child.stdout.on('data', (text: string) => {
            const lines = (pending + text).split('\n');
            pending = lines.pop() ?? '';
            for (const line of lines) {
              if (line.startsWith('{')) resolve(JSON.parse(line) as { totals: SwarmTotals; failed: number });
              else console.log(line);
            }
          });
          child.on('error', reject);
          child.on('close', (code) => reject(new Error(`the process of seeds from ${part.from} ended with ${String(code)}`)));
        }),
    ),
  );
  return results.reduce((a, b) => ({ totals: addTotals(a.totals, b.totals), failed: a.failed + b.failed }));
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const [from, seeds, jobs] = [Number(values.from), Number(values.seeds), Number(values.jobs)];
const result = jobs > 1 ? await runJobs(from, seeds, jobs) : await runSeeds(from, seeds);
console.log(values.json ? JSON.stringify(result) : `${totalsText(result.totals)}\n${result.failed} seeds failed`);
process.exitCode = result.failed === 0 ? 0 : 1;
