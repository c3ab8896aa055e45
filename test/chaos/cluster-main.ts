/**
 * Chaos on a real cluster, under the same oracle as the histories of real processes.
 *
 *   npm run chaos:cluster -- --scenario kill-pod [--scenario scale ...] [--seed 1] [--clients 8] [--directory DIR] [--k6]
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
import { clusterReport } from './cluster-report.ts';
import { ClusterRing } from './cluster-ring.ts';
import { runOnCluster, type ClusterRunResult } from './cluster-run.ts';
import { CLUSTER_SCENARIOS, missing, randomChaos, watching, type ClusterScenario } from './cluster-scenarios.ts';
import { K6Load } from './k6-load.ts';

/** A leaver that was killed is reaped within the patience of a scenario. */
const SETS: readonly string[] = ['membership.reapAfterSeconds=60'];
const READY_MS_MAX = 300_000;

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true }, random: { type: 'boolean', default: false }, minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' }, clients: { type: 'string', default: '8' }, directory: { type: 'string' }, k6: { type: 'boolean', default: false },
    release: { type: 'string' }, namespace: { type: 'string' }, list: { type: 'boolean', default: false },
  },
});

if (values.list) {
  for (const [name, { about, needs }] of Object.entries(CLUSTER_SCENARIOS)) console.log(`${name.padEnd(16)} ${about}${needs.length > 0 ? ` (needs ${needs.join(', ')})` : ''}`);
  console.log(`${'watch'.padEnd(16)} nothing for --minutes, while others shake the ring`);
  process.exit(0);
}
const reason = whyNot();
if (reason !== null) fail(reason);
const chosen: [string, ClusterScenario][] = (values.scenario ?? []).map((name) => {
  const scenario = name === 'watch' ? watching(Number(values.minutes)) : CLUSTER_SCENARIOS[name];
  if (scenario === undefined) fail(`there is no scenario ${name}; --list names them`);
  return [name, scenario];
});
if (values.random) chosen.push(['random', randomChaos(Number(values.minutes))]);
if (chosen.length === 0) fail('say --scenario NAME or --random');

const seed = Number(values.seed);
const directory = values.directory ?? await mkdtemp(path.join(os.tmpdir(), 'dht-chaos-'));
const isOwn = values.release === undefined;
const client = new KubeClient(values.namespace ?? `dht-chaos-${seed}`);
const config = new KubeConfig();
config.loadFromDefault();
const kubernetes = (await config.makeApiClient(VersionApi).getCode()).gitVersion;
const startedAt = new Date().toISOString();
const results: ClusterRunResult[] = [];
const print = (line: string): void => { console.log(line); };
console.log(`seed ${seed}; image ${IMAGE}; namespace ${client.namespace}; Kubernetes ${kubernetes}; histories and logs in ${directory}`);

if (isOwn) await client.create();
const ring = new ClusterRing(client, values.release ?? 'dht', isOwn ? chosen[0]?.[1].replicas ?? 3 : (await client.pods(values.release ?? '')).length, SETS);
if (isOwn) await ring.install();
else await ring.watch();
for (const [name, scenario] of chosen) {
  const lacking = missing(scenario);
  if (lacking.length > 0) {
    console.log(`${name}: skipped, ${lacking.join(' and ')} not set`);
    continue;
  }
  console.log(`\n${name}: ${scenario.about}`);
  if (isOwn && ring.replicas !== scenario.replicas) await ring.scale(scenario.replicas);
  await ring.untilWhole(READY_MS_MAX);
  const k6 = values.k6 ? await K6Load.begin(await client.serviceUrl(ring.release), path.join(directory, `k6-${name}`)) : null;
  const result = await runOnCluster(ring, { name, seed, clients: Number(values.clients), directory, print }, (chaos) => scenario.act(ring, chaos));
  const load = await k6?.end() ?? { wrong: [], summary: [] };
  results.push({ ...result, wrong: [...result.wrong, ...load.wrong], summary: [...result.summary, ...load.summary] });
  for (const line of results.at(-1)?.summary ?? []) console.log(line);
  for (const text of results.at(-1)?.wrong ?? []) console.error(`WRONG: ${text}`);
}
ring.stop();
const report = path.join(directory, 'report.md');
await writeFile(report, clusterReport({ image: IMAGE, kubernetes, startedAt, command: `npm run chaos:cluster -- ${process.argv.slice(2).join(' ')}`, directory }, results));
const wrong = results.reduce((sum, result) => sum + result.wrong.length, 0);
console.log(`\nthe report is ${report}`);
if (isOwn && wrong === 0) await client.remove();
else if (isOwn) console.log(`namespace ${client.namespace} is left as it is`);
console.log(wrong === 0 ? 'Nothing lost, nothing corrupt, nothing back from the dead.' : `${wrong} violations`);
process.exit(wrong === 0 ? 0 : 1);

function fail(why: string): never {
  console.error(why);
  process.exit(2);
}
