/**
 * One run on a cluster: clients whose history is recorded work on the ring while something happens to it; then everything
 * is healed, every key is read through every pod, every replica is asked what it holds, and the history is checked. What a
 * client wasn't answered may or may not have happened: it is never counted as lost.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { SimRandom } from '../../src/sim/sim-random.ts';
import { auditListings, auditReads, auditReplicas } from '../histories/audit.ts';
import { checkHistory } from '../histories/history-check.ts';
import { HistoryRecorder } from '../histories/history-file.ts';
import type { ClientDeps } from '../histories/register-client.ts';
import { Availability, workload } from '../histories/workload.ts';
import { ClusterMonitor } from './cluster-monitor.ts';
import type { ClusterRing } from './cluster-ring.ts';

export interface ClusterRunOptions {
  readonly name: string;
  readonly seed: number;
  readonly clients: number;
  /** History and logs of the pods. */
  readonly directory: string;
  readonly print: (line: string) => void;
}

export interface ClusterRunResult {
  readonly name: string;
  readonly seed: number;
  readonly seconds: number;
  /** Empty: all as promised. */
  readonly wrong: readonly string[];
  readonly summary: readonly string[];
}

export interface Chaos {
  readonly random: SimRandom;
  readonly note: (what: string) => void;
  readonly say: (line: string) => void;
  readonly fail: (what: string) => void;
}

const PROGRESS_MS = 15_000;
/** For a ring of small objects, with a leaver that was killed: it is reaped, and then its copies are made again. */
const WHOLE_MS_MAX = 420_000;
/** Slower than on loopback: the run is long, and the cluster is one machine. */
const THINK_MS_MAX = 250;
const SET_PAUSE_MS = 1_000;
/** A pod that is gone never refuses a connection. */
const SILENCE_MS = 8_000;

/** `act` does what the scenario says, on a ring that is whole at its beginning. */
export async function runOnCluster(ring: ClusterRing, options: ClusterRunOptions, act: (chaos: Chaos) => Promise<void>): Promise<ClusterRunResult> {
  await mkdir(options.directory, { recursive: true });
  const random = new SimRandom(`chaos ${options.seed}`);
  const history = new HistoryRecorder(path.join(options.directory, `${options.name}-${options.seed}.jsonl`), options.seed);
  const monitor = new ClusterMonitor(ring, options.directory);
  const wrong: string[] = [];
  const summary: string[] = [];
  const availability = new Availability();
  const deps: ClientDeps = {
    history, entries: () => ring.members, corrupt: (what) => wrong.push(what), answered: (what, key) => { availability.answered(what, key); }, silenceMs: SILENCE_MS,
  };
  const keys = new Set<string>();
  let isOver = false;
  const beganAt = performance.now();
  const at = (): string => `${((performance.now() - beganAt) / 1000).toFixed(1)} s`;
  const progress = setInterval(() => {
    const { ok, fail, unknown } = availability.counts;
    options.print(`${at()}: ${ok} answered, ${fail} refused, ${unknown} unknown; ${ring.pods.length} pods, ${ring.pods.filter(({ isReady }) => isReady).length} ready`);
  }, PROGRESS_MS);
  const chaos: Chaos = {
    random: random.fork('nemesis'),
    note: (what) => {
      history.fault(what);
      options.print(`  ${at()}  ${what}`);
    },
    say: (line) => summary.push(line),
    fail: (what) => wrong.push(what),
  };
  let seconds = 0;
  try {
    const work = workload(options.clients, deps, random, keys, () => isOver, THINK_MS_MAX, SET_PAUSE_MS);
    const failed = work.then(() => null, textOf);
    const acted = act(chaos).then(() => null, textOf);
    const first = await Promise.race([acted, failed]);
    isOver = true;
    for (const error of new Set([first, await failed, await acted])) if (error !== null) wrong.push(error);
    seconds = (performance.now() - beganAt) / 1000;
    const { ok, fail, unknown } = availability.counts;
    const operations = ok + fail + unknown;
    summary.push(`${operations} recorded operations in ${seconds.toFixed(0)} s: ${ok} answered, ${fail} refused, ${unknown} unknown; longest time without an answer for a key ${(availability.longestMs / 1000).toFixed(1)} s`);

    options.print(`${at()}: faults are over`);
    await ring.healPartitions();
    await ring.healNodes();
    try {
      summary.push(`whole ${(await ring.untilWhole(WHOLE_MS_MAX) / 1000).toFixed(1)} s after the last fault, with ${ring.replicas} pods`);
      await ring.watch();
      options.print(`${at()}: whole; reading ${keys.size} keys through ${ring.members.length} pods`);
      const nodes = ring.members;
      await auditReads(nodes, deps, [...keys], random);
      wrong.push(...await auditListings(nodes, history.lines));
      options.print(`${at()}: asking every replica what it holds`);
      const { lacking, lost, waitedMs } = await auditReplicas(nodes, history.lines, [...keys], random);
      wrong.push(...lost);
      if (lacking > 0) wrong.push(`${lacking} keys lack a copy on a replica ${(waitedMs / 1000).toFixed(0)} s after the ring was whole (a majority holds them)`);
      summary.push(`every one of ${keys.size} keys is read through each of ${nodes.length} pods; ${keys.size - lacking} of them are held by every replica, ${(waitedMs / 1000).toFixed(1)} s after that`);
    } catch (error) {
      wrong.push(`at rest: ${textOf(error)}`);
    }
    options.print(`${at()}: checking the history`);
    const verdict = checkHistory(history.lines);
    wrong.push(...verdict.wrong);
    summary.push(`${verdict.operations} operations on ${verdict.keys} keys checked for linearizability`);
  } finally {
    isOver = true;
    clearInterval(progress);
    await monitor.end();
    await history.close();
  }
  wrong.push(...monitor.wrong);
  summary.push(`rings seen: ${monitor.clusterIds.size}; containers that ended, by exit code: ${[...monitor.ends].map(([code, count]) => `${code}: ${count}`).join(', ') || 'none'}; most under-replicated objects seen by a pod: ${monitor.underReplicatedMax}`);
  return { name: options.name, seed: options.seed, seconds, wrong, summary };
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
