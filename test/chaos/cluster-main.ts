/**
 * Chaos on a real cluster, under the same oracle as on loopback.
 *
 *   npm run chaos:cluster -- --scenario kill-pod [--scenario scale-pods ...] [--seed 1] [--clients 8] [--directory DIR] [--k6]
 *   npm run chaos:cluster -- --random --minutes 60 --seed 7 --k6
 *   npm run chaos:cluster -- --list
 *
 * It needs KUBECONFIG, Helm, and DHT_TEST_IMAGE (registry/repository:tag), and installs the chart in a namespace of its own, which
 * is removed when all was as promised; with --release and --namespace it takes a release that is there, and leaves it.
 * Exit code 1 when anything isn't as promised.
 */
import { mkdtemp, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { KubeConfig, VersionApi } from '@kubernetes/client-node';
import { IMAGE, KubeClient, whyNot } from '../kube/kube-client.ts';
import { ClusterRing } from './cluster-ring.ts';
import { missing, playedOnCluster, type ClusterScenario } from './cluster-scenarios.ts';
import { K6Load } from './k6-load.ts';
import { runScenario, type Verdict } from './oracle.ts';
import { PodWatch } from './pod-watch.ts';
import { report, type ScenarioResult } from './report.ts';

/** A leaver that was killed is reaped within the patience of a scenario. */
const SETS: readonly string[] = ['membership.reapAfterSeconds=60'];
/** For a ring of small objects, with a leaver that was killed: it is reaped, and then its copies are made again. */
const WHOLE_MS_MAX = 420_000;

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true }, random: { type: 'boolean', default: false }, minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' }, clients: { type: 'string', default: '8' }, directory: { type: 'string' }, k6: { type: 'boolean', default: false },
    release: { type: 'string' }, namespace: { type: 'string' }, list: { type: 'boolean', default: false },
  },
});
const minutes = Number(values.minutes);
const known = playedOnCluster(minutes);
if (values.list) {
  for (const { number, name, about, commands } of known) console.log(`${String(number).padStart(2)}  ${name.padEnd(16)} ${about}${commands.length > 0 ? ` (needs ${commands.join(', ')})` : ''}`);
  process.exit(0);
}
const reason = whyNot();
if (reason !== null) fail(reason);
const chosen = [...(values.scenario ?? []), ...(values.random ? ['random'] : [])].map((name) => known.find((scenario) => scenario.name === name) ?? fail(`there is no scenario ${name}; --list names them`));
if (chosen.length === 0) fail('say --scenario NAME or --random');

const seed = Number(values.seed);
const directory = values.directory ?? await mkdtemp(path.join(os.tmpdir(), 'dht-chaos-'));
const isOwn = values.release === undefined;
const release = values.release ?? 'dht';
const client = new KubeClient(values.namespace ?? `dht-chaos-${seed}`);
const config = new KubeConfig();
config.loadFromDefault();
const kubernetes = (await config.makeApiClient(VersionApi).getCode()).gitVersion;
const startedAt = new Date().toISOString();
const results: ScenarioResult[] = [];
console.log(`seed ${seed}; image ${IMAGE}; namespace ${client.namespace}; Kubernetes ${kubernetes}; histories and logs in ${directory}`);

if (isOwn) await client.create();
const ring = new ClusterRing(client, release, isOwn ? chosen[0]?.replicas ?? 3 : (await client.pods(release)).length, SETS);
if (isOwn) await ring.install();
else await ring.watch();
for (const scenario of chosen) {
  const lacking = missing(scenario);
  if (lacking.length > 0) {
    results.push({ kind: 'skipped', scenario: scenario.name, why: `${lacking.join(' and ')} not set` });
    continue;
  }
  console.log(`\n${scenario.number} ${scenario.name}, seed ${seed}: ${scenario.about}`);
  const verdict = await play(scenario);
  results.push({ kind: 'ran', verdict, keptAt: directory });
  for (const line of verdict.summary) console.log(`  ${line}`);
  console.log(verdict.wrong.length === 0 ? '  as promised' : `  ${verdict.wrong.length} wrong`);
}
const file = path.join(directory, 'report.md');
await writeFile(file, report({ startedAt, command: `npm run chaos:cluster -- ${process.argv.slice(2).join(' ')}`, driver: `Kubernetes ${kubernetes}, image ${IMAGE}` }, results));
const wrong = results.reduce((sum, result) => sum + (result.kind === 'ran' ? result.verdict.wrong.length : 0), 0);
console.log(`\nthe report is ${file}`);
const isKept = !isOwn || wrong > 0;
const place = await ring.stop(isKept);
if (isKept) console.log(`${place} is left as it is`);
console.log(wrong === 0 ? 'Nothing lost, nothing corrupt, nothing back from the dead.' : `${wrong} violations`);
process.exit(wrong === 0 ? 0 : 1);

/** The scenario under the oracle, with k6 beside it if wanted. */
async function play(scenario: ClusterScenario): Promise<Verdict> {
  if (isOwn && ring.replicas !== scenario.replicas) await ring.scale(scenario.replicas);
  await ring.untilWhole(WHOLE_MS_MAX);
  const k6 = values.k6 ? await K6Load.begin(ring.serviceUrl, path.join(directory, `k6-${scenario.name}`)) : null;
  const watch = await PodWatch.begin(client, release, path.join(directory, `logs-${scenario.name}`));
  ring.follow(watch);
  const verdict = await runScenario(ring, { ...scenario, needs: [], steps: (_ring, stage) => scenario.steps(ring, stage) }, {
    seed, clients: Number(values.clients), directory, wholeMsMax: WHOLE_MS_MAX, keyPrefix: `chaos/${scenario.name}-${Date.now().toString(36)}/`, print: (line) => { console.log(line); },
  });
  await watch.end();
  const load = await k6?.end() ?? { wrong: [], summary: [] };
  for (const text of load.wrong) console.error(`WRONG: ${text}`);
  const ends = [...watch.ends].map(([code, count]) => `${code}: ${count}`).join(', ');
  return { ...verdict, wrong: [...verdict.wrong, ...load.wrong], summary: [...verdict.summary, `containers that ended, by exit code: ${ends === '' ? 'none' : ends}`, ...load.summary] };
}

function fail(why: string): never {
  console.error(why);
  process.exit(2);
}
