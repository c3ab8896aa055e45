/**
 * One run: founds a ring of real processes, lets clients work on it (workload.ts) under the nemesis, heals everything, and
 * looks at what is left (audit.ts).
 */
import { SimRandom } from '../../src/sim/sim-random.ts';
import type { RealNode } from '../support/real-ring.ts';
import { auditListings, auditReads, auditReplicas } from './audit.ts';
import { FaultyRing } from './faulty-ring.ts';
import { checkHistory } from './history-check.ts';
import { HistoryRecorder } from './history-file.ts';
import { Nemesis } from './nemesis.ts';
import type { ClientDeps } from './register-client.ts';
import { Availability, workload } from './workload.ts';

export interface HistoryRunOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly nodes: number;
  readonly clients: number;
  /** Where the history goes. */
  readonly file: string;
  /** The script of the nodes; null: the program. */
  readonly entryPoint: string | null;
  /** Data and logs of the nodes stay when something is wrong. */
  readonly isKeptWhenWrong: boolean;
  readonly print: (line: string) => void;
}

export interface HistoryRunResult {
  /** Empty: all as promised. */
  readonly wrong: readonly string[];
  readonly summary: readonly string[];
  readonly operations: number;
  readonly faults: ReadonlyMap<string, number>;
}

const PROGRESS_MS = 5_000;
const WHOLE_MS_MAX = 120_000;

export async function runHistory(options: HistoryRunOptions): Promise<HistoryRunResult> {
  const random = new SimRandom(`histories ${options.seed}`);
  const faulty = await FaultyRing.create(options.entryPoint);
  const history = new HistoryRecorder(options.file, options.seed);
  const wrong: string[] = [];
  const summary: string[] = [];
  const availability = new Availability();
  const entries = (): readonly RealNode[] => [...faulty.members];
  const deps: ClientDeps = { history, entries, corrupt: (what) => wrong.push(what), answered: (what, key) => { availability.answered(what, key); } };
  const keys = new Set<string>();
  let isOver = false;
  let isKept = options.isKeptWhenWrong;
  try {
    await faulty.untilReady(await faulty.add());
    for (let i = 1; i < options.nodes; i++) await faulty.add();
    await faulty.untilWhole(WHOLE_MS_MAX);
    options.print(`a ring of ${options.nodes} is whole, seed ${options.seed}, ${options.seconds} s`);

    const note = (what: string): void => {
      history.fault(what);
      options.print(`  ${(history.now() / 1000).toFixed(1)} s  ${what}`);
    };
    const nemesis = new Nemesis(faulty, random.fork('nemesis'), { membersMin: options.nodes - 1, membersMax: options.nodes + 2 }, note);
    const work = workload(options.clients, deps, random, keys, () => isOver);
    const progress = setInterval(() => {
      const { ok, fail, unknown } = availability.counts;
      options.print(`${(history.now() / 1000).toFixed(0)} s: ${ok} answered, ${fail} refused, ${unknown} unknown; ${faulty.members.size} members`);
    }, PROGRESS_MS);
    const beganAt = performance.now();
    const failure = Promise.all([nemesis.run(), work]).then(() => null, (error: unknown) => (error instanceof Error ? error : new Error(String(error))));
    await Promise.race([pause(options.seconds * 1000), failure]);
    isOver = true;
    nemesis.end();
    const error = await failure;
    clearInterval(progress);
    if (error !== null) throw error;
    const seconds = (performance.now() - beganAt) / 1000;
    const { ok, fail, unknown } = availability.counts;

    options.print('faults are over');
    summary.push(
      `${ok + fail + unknown} operations in ${seconds.toFixed(0)} s (${((ok + fail + unknown) / seconds).toFixed(0)}/s): ${ok} answered, ${fail} refused, ${unknown} unknown`,
      `longest time without an answer for a key: ${(availability.longestMs / 1000).toFixed(1)} s`,
      `faults: ${[...nemesis.counts].map(([kind, count]) => `${kind} ${count}`).join(', ') || 'none'}`,
      `${faulty.links.connections} connections between nodes, ${faulty.links.unidentified} of them from an unknown dialer`,
    );
    try {
      summary.push(`whole ${(await faulty.untilWhole(WHOLE_MS_MAX) / 1000).toFixed(1)} s after the last fault`);
      await auditReads(entries(), deps, [...keys], random);
      wrong.push(...await auditListings(entries(), history.lines));
      const { lacking, lost, waitedMs } = await auditReplicas(entries(), history.lines, [...keys], random);
      wrong.push(...lost);
      summary.push(lacking === 0 ? `every replica holds what is chosen, ${(waitedMs / 1000).toFixed(1)} s after that` : `${lacking} keys lack a copy on a replica after ${(waitedMs / 1000).toFixed(0)} s (a majority holds them)`);
    } catch (error) {
      wrong.push(`at rest: ${error instanceof Error ? error.message : String(error)}`);
    }
    const verdict = checkHistory(history.lines);
    wrong.push(...verdict.wrong, ...faulty.unexpectedEnds);
    summary.push(`${verdict.operations} operations on ${verdict.keys} keys checked, ${verdict.late.length} in order only if an early try of a retried write came late; ${keys.size} keys read at rest through ${faulty.members.size} nodes`);
    isKept &&= wrong.length > 0;
    return { wrong, summary, operations: ok + fail + unknown, faults: nemesis.counts };
  } finally {
    isOver = true;
    await faulty.stop(isKept);
    if (isKept) options.print(`data and logs of the nodes are in ${faulty.ring.directory}`);
    await history.close();
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
