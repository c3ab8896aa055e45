/**
 * One load test from one command: a target (a new ring of local processes, given URLs, or a release on Kubernetes), k6 with
 * a scenario, the report, and at the end every acknowledged object once more.
 *
 * Exit code: 0 every limit held, 1 one didn't, 2 the test could not be run.
 */
import { createReadStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { AcknowledgedWrites, Refusals } from '../lib/log-lines.ts';
import type { Profile, ScenarioName } from '../lib/profile.ts';
import type { Report } from '../lib/report.ts';
import { clusterTarget } from './cluster-target.ts';
import { parseCommandLine, PROFILES, USAGE, type CommandLine } from './command-line.ts';
import { faultPlan, makeFaults } from './fault-plan.ts';
import { exitCodeText, findK6, outcomeOf, runK6, type Outcome } from './k6-program.ts';
import { localTarget } from './local-target.ts';
import { givenTarget, type Target } from './target.ts';

const LOADTEST = path.resolve(import.meta.dirname, '..');
/** Lines of a script that are shown; all are in its console.log. */
const COMPLAINTS_MAX = 50;

const command = parseCommandLine(process.argv.slice(2), Math.floor(Date.now() / 1000));
if (typeof command === 'string') {
  console.error(`${command}\n\n${USAGE}`);
  process.exit(2);
}
const k6 = findK6(process.env);
if (k6.kind === 'missing') {
  console.error(k6.why);
  process.exit(2);
}
process.exitCode = await run(command, k6.program);

async function run(options: CommandLine, program: string): Promise<number> {
  const directory = path.join(LOADTEST, 'reports', `${new Date().toISOString().slice(0, 19).replace(/[:T]/g, '-')}-${options.scenario}`);
  await mkdir(directory, { recursive: true });
  const target = await targetOf(options);
  try {
    console.log(`${options.scenario} against ${target.baseUrls.join(', ')}; seed ${options.seed}; reports in ${path.relative(process.cwd(), directory)}`);
    const outcome = await runScenario(options, program, target, directory, options.scenario, options.keysFile);
    const keysFile = outcome === 'not-run' || !options.isVerified || options.scenario === 'verify' ? null : await acknowledgedFile(directory, options.scenario);
    const verified = keysFile === null ? 'passed' : await runScenario(options, program, target, directory, 'verify', keysFile);
    const outcomes = [outcome, verified];
    return outcomes.includes('not-run') ? 2 : outcomes.includes('limits-broken') ? 1 : 0;
  } finally {
    await target.stop();
  }
}

function targetOf(options: CommandLine): Promise<Target> {
  if (options.release !== null) return clusterTarget(options.release, options.namespace, options.mayMakeFaults);
  return options.urls.length > 0 ? Promise.resolve(givenTarget(options.urls, options.adminUrls)) : localTarget(options.nodes);
}

async function runScenario(options: CommandLine, program: string, target: Target, directory: string, scenario: ScenarioName, keysFile: string | null): Promise<Outcome> {
  const consoleFile = path.join(directory, `${scenario}-console.log`);
  const summaryFile = path.join(directory, `${scenario}.json`);
  const isVerify = scenario === 'verify';
  const { rate, seconds } = isVerify ? { rate: null, seconds: null } : options.overrides;
  let isOver = false;
  const faults = target.faults === null ? Promise.resolve() : plannedFaults(options, target, scenario, consoleFile, () => isOver);
  const failedFault = faults.then(() => null, (error: unknown) => (error instanceof Error ? error.message : String(error)));
  const exitCode = await runK6({
    program, script: path.join(LOADTEST, 'scenarios', `${scenario}.ts`), consoleFile, htmlFile: isVerify ? null : path.join(directory, `${scenario}.html`),
    environment: {
      BASE_URL: target.baseUrls.join(','), ADMIN_URL: target.adminUrls.join(','), PROFILE: options.profile, SEED: String(options.seed), SUMMARY_FILE: summaryFile, ACKED_LOG: isVerify ? '' : '1',
      ENVIRONMENT: JSON.stringify(target.environment), RATE: String(rate ?? ''), DURATION: String(seconds ?? ''), ...(keysFile !== null && { KEYS_FILE: keysFile }),
    },
  });
  isOver = true;
  const report = await readFile(summaryFile, 'utf8').then((text) => JSON.parse(text) as Report, () => null);
  await printComplaints(consoleFile);
  const why = await failedFault;
  if (why !== null) console.error(`A fault could not be made: ${why}`);
  const outcome = why === null ? outcomeOf(exitCode, report?.isPassed ?? null) : 'not-run';
  if (outcome === 'not-run') console.error(exitCodeText(exitCode));
  return outcome;
}

async function plannedFaults(options: CommandLine, target: Target, scenario: ScenarioName, consoleFile: string, isOver: () => boolean): Promise<void> {
  const profile = JSON.parse(await readFile(path.join(PROFILES, `${options.profile}.json`), 'utf8')) as Profile;
  const plan = faultPlan(scenario, profile, options.overrides);
  if (target.faults !== null && plan.length > 0) await makeFaults(plan, target.faults, consoleFile, isOver, (line) => { console.log(line); });
}

/** What verify reads; null when nothing is left to be read. */
async function acknowledgedFile(directory: string, scenario: ScenarioName): Promise<string | null> {
  const writes = new AcknowledgedWrites();
  const file = path.join(directory, 'acknowledged.json');
  for await (const line of lines(path.join(directory, `${scenario}-console.log`))) writes.read(line);
  const all = writes.all();
  await writeFile(file, JSON.stringify(all));
  return all.length === 0 ? null : file;
}

async function printComplaints(consoleFile: string): Promise<void> {
  const writes = new AcknowledgedWrites();
  let printed = 0;
  const refusals = new Refusals();
  for await (const line of lines(consoleFile)) if (!writes.read(line) && !refusals.read(line) && printed++ < COMPLAINTS_MAX) console.error(line);
  for (const line of refusals.lines().slice(0, COMPLAINTS_MAX)) console.log(line);
}

function lines(file: string): AsyncIterable<string> {
  return createInterface({ input: createReadStream(file), crlfDelay: Infinity });
}
