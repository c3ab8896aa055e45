/**
 * One scenario under the oracle. Clients whose history is recorded put, overwrite, delete and read while it plays; then
 * every fault is ended, the ring has to be whole in time, every key is read through every node, every replica of every key
 * is asked what it holds, and the history is checked. A call without an answer may or may not have happened: it is never
 * counted as lost.
 *
 * Criteria of every run: (1) linearizable, no acknowledged write lost, none corrupt, none back from the dead; (2) one ring at
 * all times, one epoch soon after the last fault; (3) no object below its copies a minute after that; (4) processes end
 * only as they were made to, log nothing that only a bug writes, and don't hoard files; (5) the client without patience is
 * answered as the scenario says.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { SimRandom } from '../../src/sim/sim-random.ts';
import { auditListings, auditReads, auditReplicas } from '../histories/audit.ts';
import { checkHistory } from '../histories/history-check.ts';
import { HistoryRecorder } from '../histories/history-file.ts';
import type { ClientDeps } from '../histories/register-client.ts';
import { Availability as AnsweredKeys, workload } from '../histories/workload.ts';
import type { ChaosRing } from './chaos-ring.ts';
import { Probe, type Availability } from './probe.ts';
import { RingMonitor } from './ring-monitor.ts';
import { LOOSE, type AvailabilityLimits, type Scenario, type Stage } from './scenario.ts';

export interface OracleOptions {
  readonly seed: number;
  readonly clients: number;
  /** Where the history goes. */
  readonly directory: string;
  readonly print: (line: string) => void;
  /** Milliseconds until the ring has to be whole after the last fault. */
  readonly wholeMsMax: number;
  /** Milliseconds until every replica has to hold what is chosen; a minute without it. */
  readonly auditMsMax?: number;
  /** False: what is slow or refused too often is told and not wrong, because the machine does much else. */
  readonly areSpeedsChecked?: boolean;
  /** Before every key: a ring that outlives the run must not have had any of them. */
  readonly keyPrefix?: string;
}

export interface TimelineEntry {
  readonly seconds: number;
  readonly kind: 'action' | 'figure' | 'wrong';
  readonly text: string;
}

export interface Verdict {
  readonly scenario: string;
  readonly about: string;
  readonly seed: number;
  readonly seconds: number;
  /** Empty: all as promised. */
  readonly wrong: readonly string[];
  readonly timeline: readonly TimelineEntry[];
  readonly summary: readonly string[];
  readonly historyFile: string;
}

const PROGRESS_MS = 10_000;
const PROBES_PER_SECOND = 20;
const THINK_MS_MAX = 120;
const SET_PAUSE_MS = 400;
/** Longer than a node's own deadline for a small operation. */
const SILENCE_MS = 12_000;
/** Milliseconds that the client without patience asks before and after. */
const AROUND_MS = 500;
/** Open files that come and go: connections, segments of the log. */
const OPEN_FILES_SLACK = 64;

export async function runScenario(ring: ChaosRing, scenario: Scenario, options: OracleOptions): Promise<Verdict> {
  await mkdir(options.directory, { recursive: true });
  const historyFile = path.join(options.directory, `${scenario.name}-${options.seed}.jsonl`);
  const random = new SimRandom(`chaos ${scenario.name} ${options.seed}`);
  const history = new HistoryRecorder(historyFile, options.seed);
  const wrong: string[] = [];
  const summary: string[] = [];
  const timeline: TimelineEntry[] = [];
  const answered = new AnsweredKeys();
  const keys = new Set<string>();
  const beganAt = performance.now();
  const seconds = (): number => (performance.now() - beganAt) / 1000;
  const tell = (kind: TimelineEntry['kind'], text: string): void => {
    timeline.push({ seconds: seconds(), kind, text });
    options.print(`  ${seconds().toFixed(1).padStart(6)} s  ${kind === 'wrong' ? 'WRONG: ' : ''}${text}`);
  };
  const fail = (text: string): void => {
    wrong.push(text);
    tell('wrong', text);
  };
  let entries = ring.nodes;
  // A ring that sleeps has no nodes; clients go on asking where they were.
  const entriesNow = (): ChaosRing['nodes'] => (entries = ring.nodes.length > 0 ? ring.nodes : entries);
  const deps: ClientDeps = { history, entries: entriesNow, corrupt: fail, answered: (what, key) => { answered.answered(what, key); }, silenceMs: SILENCE_MS };
  const stage = stageOf(ring, random.fork('scenario'), (what) => { history.fault(what); tell('action', what); }, (what) => { summary.push(what); tell('figure', what); }, fail, options.areSpeedsChecked ?? true);
  const monitor = new RingMonitor(ring);
  const filesBefore = await ring.openFiles();
  let isOver = false;
  const progress = setInterval(() => {
    const { ok, fail: refused, unknown } = answered.counts;
    options.print(`  ${seconds().toFixed(1).padStart(6)} s  ${ok} answered, ${refused} refused, ${unknown} unknown; ${ring.nodes.filter(({ isReady }) => isReady).length} of ${ring.replicas} ready`);
  }, PROGRESS_MS);
  try {
    const worked = workload(options.clients, deps, random, keys, () => isOver, THINK_MS_MAX, SET_PAUSE_MS, options.keyPrefix).then(() => null, textOf);
    const acted = scenario.steps(ring, stage).then(() => null, textOf);
    // Told at once: a long scenario plays on to its end.
    void worked.then((error) => { if (error !== null) fail(`the clients ended: ${error}`); });
    const actError = await acted;
    isOver = true;
    await worked;
    if (actError !== null) fail(actError);
    await ring.heal();
    tell('action', 'every fault is over');
    const { ok, fail: refused, unknown } = answered.counts;
    summary.push(`${ok + refused + unknown} recorded operations: ${ok} answered, ${refused} refused, ${unknown} unknown; longest time without an answer for a key ${(answered.longestMs / 1000).toFixed(1)} s`);
    try {
      const wholeMs = await ring.untilWhole(options.wholeMsMax);
      tell('figure', `whole ${(wholeMs / 1000).toFixed(1)} s after the last fault`);
      const { nodes } = ring;
      await auditReads(nodes, deps, [...keys], random);
      for (const text of await auditListings(nodes, history.lines, options.keyPrefix)) fail(text);
      const { lacking, lost, waitedMs } = await auditReplicas(nodes, history.lines, [...keys], random, options.auditMsMax);
      for (const text of lost) fail(text);
      if (lacking > 0) fail(`${lacking} keys lack a copy on a replica ${(waitedMs / 1000).toFixed(0)} s after the ring was whole (a majority holds them)`);
      tell('figure', `${keys.size} keys read through each of ${nodes.length} nodes; every replica of ${keys.size - lacking} holds what is chosen, ${(waitedMs / 1000).toFixed(1)} s later`);
      await checkOpenFiles(ring, filesBefore, fail);
    } catch (error) {
      fail(`at rest: ${textOf(error)}`);
    }
    const verdict = checkHistory(history.lines);
    for (const text of verdict.wrong) fail(text);
    summary.push(`${verdict.operations} operations on ${verdict.keys} keys checked for linearizability; ${verdict.late.length} keys in order only if an early try of a retried write came late${verdict.late.map((key) => `, ${key}`).join('')}`);
  } finally {
    isOver = true;
    clearInterval(progress);
    await monitor.end();
    await history.close();
  }
  for (const text of [...monitor.wrong, ...ring.unexpectedEnds, ...await ring.neverLogged()]) fail(text);
  summary.push(`seen each second: ${monitor.clusterIds.size} ring, at least ${monitor.readyMin} ready, an arc without majority at ${monitor.unavailableLooks} of ${monitor.looks} looks, at most ${monitor.underReplicatedMax} objects that lack a copy`);
  return { scenario: scenario.name, about: scenario.about, seed: options.seed, seconds: seconds(), wrong, timeline, summary, historyFile };
}

function stageOf(ring: ChaosRing, random: SimRandom, note: (what: string) => void, say: (what: string) => void, fail: (what: string) => void, areSpeedsChecked: boolean): Stage {
  const late = areSpeedsChecked ? fail : (what: string): void => { say(`late, on a busy machine: ${what}`); };
  return {
    random, note, say, fail, late, pause,
    observe: async (what, act, limits = LOOSE) => {
      const probe = await Probe.begin(ring.serviceUrl, PROBES_PER_SECOND);
      await pause(AROUND_MS);
      let figures: Availability;
      try {
        await act();
        await pause(AROUND_MS);
      } finally {
        figures = await probe.end();
      }
      say(`${what}: ${availabilityText(figures)}`);
      checkAvailability(what, figures, limits, late);
      return figures;
    },
  };
}

function checkAvailability(what: string, { failed, requests, longestGapMs }: Availability, { failedShareMax, gapMsMax }: AvailabilityLimits, late: (what: string) => void): void {
  if (failedShareMax !== null && failed > failedShareMax * requests) late(`${what}: ${failed} of ${requests} requests not answered, more than ${100 * failedShareMax} %`);
  if (gapMsMax !== null && longestGapMs > gapMsMax) late(`${what}: no answer for ${longestGapMs.toFixed(0)} ms`);
}

/** Of processes that lived through it all. */
async function checkOpenFiles(ring: ChaosRing, before: ReadonlyMap<string, number>, fail: (what: string) => void): Promise<void> {
  for (const [id, count] of await ring.openFiles()) {
    const earlier = before.get(id);
    if (earlier !== undefined && count > 1.1 * earlier + OPEN_FILES_SLACK) fail(`${id} has ${count} open files, it had ${earlier} before`);
  }
}

/** In words, with what was answered instead. */
export function availabilityText({ requests, failed, longestGapMs, median, p99, reasons }: Availability): string {
  const causes = [...reasons].map(([reason, count]) => `${reason} ${count}`).join(', ');
  return `${failed} of ${requests} requests not answered (${(100 * failed / Math.max(1, requests)).toFixed(2)} %${causes === '' ? '' : `: ${causes}`}), longest gap ${(longestGapMs / 1000).toFixed(2)} s, median ${median.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`;
}

export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
