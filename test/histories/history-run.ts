/**
 * One run: founds a ring of real processes, lets clients work on it under the nemesis, heals everything, and looks at
 * what is left. Keys come in slots: each key serves some hundred operations and gives its slot to a fresh one, so that
 * the search of the checker stays short; at the end every key that ever was is read through every node.
 *
 * Beside the registers one client writes names of a set, each once: what was acknowledged has to be there at the end, in
 * the gets and in the listings of every node.
 */
import { createHash } from 'node:crypto';
import { pick, SimRandom } from '../../src/sim/sim-random.ts';
import type { RealNode } from '../support/real-ring.ts';
import { FaultyRing } from './faulty-ring.ts';
import { AUDITOR, checkHistory } from './history-check.ts';
import { entriesOf, HistoryRecorder, type HistoryLine } from './history-file.ts';
import { Nemesis } from './nemesis.ts';
import { bodyOf, KnownVersions, RegisterClient, type ClientDeps } from './register-client.ts';

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

const SLOTS = 12;
const OPERATIONS_PER_KEY = 150;
const THINK_MS_MAX = 60;
const SET_PAUSE_MS = 150;
const PROGRESS_MS = 5_000;
const WHOLE_MS_MAX = 120_000;
/** Milliseconds until a read at rest has to be answered, and until every replica has to hold what is chosen. */
const AUDIT_MS_MAX = 60_000;
const AUDITS_AT_ONCE = 8;

/** For how long keys got no answer: from the first refusal after an answer to the next answer. */
class Availability {
  longestMs = 0;
  readonly counts = { ok: 0, fail: 0, unknown: 0 };
  readonly #refusedSince = new Map<string, number>();

  answered(what: 'ok' | 'fail' | 'unknown', key: string): void {
    this.counts[what] += 1;
    if (what !== 'ok') {
      if (!this.#refusedSince.has(key)) this.#refusedSince.set(key, performance.now());
      return;
    }
    const since = this.#refusedSince.get(key);
    if (since === undefined) return;
    this.#refusedSince.delete(key);
    this.longestMs = Math.max(this.longestMs, performance.now() - since);
  }
}

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
    const known = new KnownVersions();
    const uses = new Map<number, number>();
    const keyOf = (slot: number): string => {
      const used = uses.get(slot) ?? 0;
      uses.set(slot, used + 1);
      const key = `k/${slot}-${Math.floor(used / OPERATIONS_PER_KEY)}`;
      keys.add(key);
      return key;
    };
    const client = async (name: string): Promise<void> => {
      const own = random.fork(name);
      const one = new RegisterClient(name, deps, own, known);
      while (!isOver) {
        await pause(own.float() * THINK_MS_MAX);
        await one.operate(keyOf(own.below(SLOTS)));
      }
      one.close();
    };
    const setClient = async (): Promise<void> => {
      const one = new RegisterClient('set', deps, random.fork('set'), known);
      for (let i = 0; !isOver; i++) {
        const key = `set/${String(i).padStart(5, '0')}`;
        keys.add(key);
        await one.put(key, { kind: 'absent' });
        await pause(SET_PAUSE_MS);
      }
      one.close();
    };
    const progress = setInterval(() => {
      const { ok, fail, unknown } = availability.counts;
      options.print(`${(history.now() / 1000).toFixed(0)} s: ${ok} answered, ${fail} refused, ${unknown} unknown; ${faulty.members.size} members`);
    }, PROGRESS_MS);
    const beganAt = performance.now();
    const work = [nemesis.run(), setClient(), ...Array.from({ length: options.clients }, (_, i) => client(`c${i}`))];
    const failure = Promise.all(work).then(() => null, (error: unknown) => (error instanceof Error ? error : new Error(String(error))));
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
      await auditReads(faulty, deps, [...keys], random);
      wrong.push(...await auditListings(faulty, history.lines));
      const { lacking, lost, waitedMs } = await auditReplicas(faulty, history.lines, [...keys], random);
      wrong.push(...lost);
      summary.push(lacking === 0 ? `every replica holds what is chosen, ${(waitedMs / 1000).toFixed(1)} s after that` : `${lacking} keys lack a copy on a replica after ${(waitedMs / 1000).toFixed(0)} s (a majority holds them)`);
    } catch (error) {
      wrong.push(`at rest: ${error instanceof Error ? error.message : String(error)}`);
    }
    const verdict = checkHistory(history.lines);
    wrong.push(...verdict.wrong, ...faulty.unexpectedEnds);
    summary.push(`${verdict.operations} operations on ${verdict.keys} keys checked; ${keys.size} keys read at rest through ${faulty.members.size} nodes`);
    isKept &&= wrong.length > 0;
    return { wrong, summary, operations: ok + fail + unknown, faults: nemesis.counts };
  } finally {
    isOver = true;
    await faulty.stop(isKept);
    if (isKept) options.print(`data and logs of the nodes are in ${faulty.ring.directory}`);
    await history.close();
  }
}

/** Reads every key through every node; what isn't answered in time throws. */
async function auditReads(faulty: FaultyRing, deps: ClientDeps, keys: readonly string[], random: SimRandom): Promise<void> {
  const nodes = [...faulty.members];
  await each(keys.flatMap((key) => nodes.map((node) => ({ key, node }))), async ({ key, node }) => {
    const reader = new RegisterClient(AUDITOR, { ...deps, answered: () => undefined }, random.fork(`${AUDITOR} ${key} ${node.name}`), new KnownVersions());
    const endAt = performance.now() + AUDIT_MS_MAX;
    while ((await reader.get(key, node)) === 'fail') {
      if (performance.now() > endAt) throw new Error(`"${key}" can't be read at rest through ${node.name}`);
      await pause(200);
    }
    reader.close();
  });
}

/** The listing of every node has each name of the set that was acknowledged, and none that certainly wasn't stored. */
async function auditListings(faulty: FaultyRing, lines: readonly HistoryLine[]): Promise<string[]> {
  const wrong: string[] = [];
  const writes = entriesOf(lines).filter(({ key, op }) => key.startsWith('set/') && op.f === 'put');
  const acknowledged = writes.filter(({ result }) => result?.kind === 'stored').map(({ key }) => key);
  const possible = new Set(writes.filter(({ result }) => result?.kind !== 'precondition-failed').map(({ key }) => key));
  for (const node of faulty.members) {
    const names = new Set<string>();
    let cursor: string | undefined;
    do {
      const query = new URLSearchParams({ prefix: 'set/', ...(cursor !== undefined && { cursor }) });
      const response = await fetch(`${node.url}/v1/objects?${query}`);
      const page = await response.json() as { objects?: { name: string }[]; cursor?: string };
      if (!response.ok) throw new Error(`no listing through ${node.name}: ${JSON.stringify(page)}`);
      for (const { name } of page.objects ?? []) names.add(name);
      cursor = page.cursor;
    } while (cursor !== undefined);
    for (const key of acknowledged) if (!names.has(key)) wrong.push(`${node.name} does not list "${key}", which was acknowledged`);
    for (const name of names) if (!possible.has(name)) wrong.push(`${node.name} lists "${name}", which nobody stored`);
  }
  return wrong;
}

/** What each replica has on its disk, by its own word: a majority has to hold the value read at rest, durably. */
async function auditReplicas(faulty: FaultyRing, lines: readonly HistoryLine[], keys: readonly string[], random: SimRandom): Promise<{ lacking: number; lost: string[]; waitedMs: number }> {
  const valueAtRest = new Map(entriesOf(lines).flatMap(({ client, key, result }) => (client === AUDITOR && result?.kind === 'value' ? [[key, result.value] as const] : [])));
  const sizeOf = new Map(lines.flatMap((line) => (line.type === 'invoke' && line.call.f === 'put' ? [[line.call.value, line.bytes ?? 0] as const] : [])));
  const nodes = [...faulty.members];
  const beganAt = performance.now();
  const lost: string[] = [];
  let lacking: readonly string[] = keys;
  for (;;) {
    const isLast = performance.now() - beganAt > AUDIT_MS_MAX;
    const still: string[] = [];
    await each(lacking, async (key) => {
      const value = valueAtRest.get(key) ?? null;
      const digest = value === null ? null : createHash('sha256').update(bodyOf(value, sizeOf.get(value) ?? 0)).digest('hex');
      const { preferenceList } = await pick(random, nodes).explain(key);
      const holders = preferenceList.filter(({ holds }) => (digest === null ? holds !== null && holds.kind !== 'object' : holds?.sha256 === digest && holds.durable));
      if (holders.length === preferenceList.length) return;
      still.push(key);
      if (isLast && 2 * holders.length <= preferenceList.length) {
        lost.push(`"${key}" should be ${value ?? 'nothing'}, its replicas hold: ${preferenceList.map(({ node, holds }) => `${node} ${JSON.stringify(holds)}`).join('; ')}`);
      }
    });
    lacking = still;
    if (lacking.length === 0 || isLast) return { lacking: lacking.length, lost, waitedMs: performance.now() - beganAt };
    await pause(500);
  }
}

/** Runs the work on each item, some side by side. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: AUDITS_AT_ONCE }, async () => {
    for (let i = next++; i < items.length; i = next++) await work(items[i] as T);
  }));
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
