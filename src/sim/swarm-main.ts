/**
 * `npm run sim:swarm -- --seeds N --from S --jobs J [--kernel register|layout|membership] [--twice K] [--json]`: runs seeds S
 * to S+N-1, each with its own mix of faults, in J processes; of whole nodes, or of one kernel alone. Prints progress, every
 * failing seed with its violations and how to replay it, and what happened how often. `--twice K` runs every Kth seed of
 * whole nodes again and compares the digests: a difference is a choice that isn't the seed's. Exit code 1: a seed failed.
 * With `--json` the last line is the totals for a program to read.
 */
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { ALL_RULES } from '../domain/rules.ts';
import { addKernelTotals, KERNEL_NAMES, NO_KERNEL_TOTALS, runKernelSeeds, type KernelName, type KernelTotals } from './kernel-swarm.ts';
import { describe } from './simulation.ts';
import { swarmRun } from './swarm-run.ts';
import type { SwarmTotals } from './swarm-summary.ts';
import { addRun, addTotals, NO_TOTALS, totalsText } from './swarm-summary.ts';
import type { WholeNodeRun } from './whole-node-run.ts';

const PROGRESS_SEEDS = 25;
/** Failing seeds after which a process gives up: more of them tell nothing new. */
const FAILED_MAX = 10;
/** Seeds of a kernel between two lines of progress. */
const KERNEL_CHUNK = 10_000;

/** What a share of the seeds gave. */
interface Share {
  readonly failed: number;
  readonly totals: SwarmTotals;
  readonly kernel: KernelTotals;
}

const NO_SHARE: Share = { failed: 0, totals: NO_TOTALS, kernel: NO_KERNEL_TOTALS };

/** Runs the seeds in this process; gives the totals and how many failed. */
async function runSeeds(from: number, seeds: number, twice: number): Promise<Share> {
  let totals = NO_TOTALS;
  let failed = 0;
  let current: WholeNodeRun | null = null;
  process.on('unhandledRejection', (error) => current?.abort(`a promise was rejected and nobody listened: ${describe(error)}`));
  for (let seed = from; seed < from + seeds && failed < FAILED_MAX; seed++) {
    current = swarmRun({ seed, linesMax: 0, rules: ALL_RULES });
    const result = await current.run();
    const violations = [...result.violations];
    if (twice > 0 && seed % twice === 0) {
      current = swarmRun({ seed, linesMax: 0, rules: ALL_RULES });
      const again = await current.run();
      if (again.digest !== result.digest) violations.push(`it is not deterministic: its digests are ${result.digest} and ${again.digest}`);
    }
    totals = addRun(totals, result);
    if (violations.length > 0) {
      failed++;
      console.log(`seed ${seed} FAILED (replay: npm run sim -- --seed ${seed}; make it small: npm run sim -- --seed ${seed} --shrink)`);
      for (const violation of violations) console.log(`  ${violation}`);
    }
    if (totals.seeds % PROGRESS_SEEDS === 0) console.log(`${totals.seeds} of ${seeds} seeds from ${from} done, ${failed} failed`);
  }
  return { ...NO_SHARE, totals, failed };
}

function runKernels(kernel: KernelName, from: number, seeds: number): Share {
  let totals = NO_KERNEL_TOTALS;
  for (let done = 0; done < seeds && totals.failed < FAILED_MAX; done += KERNEL_CHUNK) {
    const chunk = runKernelSeeds(kernel, from + done, Math.min(KERNEL_CHUNK, seeds - done), FAILED_MAX, (seed, violation) => {
      console.log(`seed ${seed} of the ${kernel} kernel FAILED\n  ${violation}`);
    });
    totals = addKernelTotals(totals, chunk);
    console.log(`${totals.seeds} of ${seeds} seeds of the ${kernel} kernel from ${from} done, ${totals.failed} failed`);
  }
  return { ...NO_SHARE, failed: totals.failed, kernel: totals };
}

/** Runs the seeds in processes of their own. */
async function runJobs(from: number, seeds: number, jobs: number, passedOn: readonly string[]): Promise<Share> {
  const part = Math.ceil(seeds / jobs);
  const parts = Array.from({ length: jobs }, (_, job) => ({ from: from + job * part, seeds: Math.min(part, seeds - job * part) }));
  const shares = await Promise.all(
    parts.filter((share) => share.seeds > 0).map(
      (share) =>
        new Promise<Share>((resolve, reject) => {
          const args = [import.meta.filename, '--from', String(share.from), '--seeds', String(share.seeds), '--jobs', '1', '--json', ...passedOn];
          const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
          let pending = '';
          child.stdout.setEncoding('utf8');
          child.stdout.on('data', (text: string) => {
            const lines = (pending + text).split('\n');
            pending = lines.pop() ?? '';
            for (const line of lines) {
              if (line.startsWith('{')) resolve(JSON.parse(line) as Share);
              else console.log(line);
            }
          });
          child.on('error', reject);
          child.on('close', (code) => reject(new Error(`the process of seeds from ${share.from} ended with ${String(code)}`)));
        }),
    ),
  );
  return shares.reduce((a, b) => ({ failed: a.failed + b.failed, totals: addTotals(a.totals, b.totals), kernel: addKernelTotals(a.kernel, b.kernel) }), NO_SHARE);
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '1' },
    kernel: { type: 'string' },
    twice: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
});
const kernel = values.kernel === undefined ? null : KERNEL_NAMES.find((name) => name === values.kernel);
if (kernel === undefined) throw new Error(`there is no kernel "${String(values.kernel)}"; there are ${KERNEL_NAMES.join(', ')}`);
const [from, seeds, jobs, twice] = [Number(values.from), Number(values.seeds), Number(values.jobs), Number(values.twice)];
const startedSeconds = process.uptime();

async function runAll(): Promise<Share> {
  if (jobs > 1) return await runJobs(from, seeds, jobs, [...(kernel === null ? [] : ['--kernel', kernel as string]), '--twice', String(twice)]);
  return kernel === null ? await runSeeds(from, seeds, twice) : runKernels(kernel as KernelName, from, seeds);
}

const result = await runAll();
if (values.json) {
  console.log(JSON.stringify(result));
} else {
  const { totals } = result;
  const ran = kernel === null ? totals.seeds : result.kernel.seeds;
  console.log(kernel === null ? totalsText(totals) : `${ran} seeds of the ${kernel} kernel: ${Object.entries(result.kernel.counts).map(([name, count]) => `${count} ${name}`).join(', ')}`);
  console.log(`${result.failed} seeds failed; ${(ran / (process.uptime() - startedSeconds)).toFixed(1)} seeds/s`);
}
process.exitCode = result.failed === 0 ? 0 : 1;
