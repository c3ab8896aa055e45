/**
 * What clients do to a ring whose history is recorded. Keys come in slots: each key serves some hundred operations and
 * gives its slot to a fresh one, so that the search of the checker stays short.
 *
 * Beside the registers one client writes names of a set, each once: what was acknowledged has to be there at the end, in
 * the gets and in the listings of every node.
 */
import type { SimRandom } from '../../src/sim/sim-random.ts';
import { KnownVersions, RegisterClient, type ClientDeps } from './register-client.ts';

const SLOTS = 12;
const OPERATIONS_PER_KEY = 150;
const THINK_MS_MAX = 60;
const SET_PAUSE_MS = 150;

/** For how long keys got no answer: from the first refusal after an answer to the next answer. */
export class Availability {
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

/** Runs clients until `isOver`; every key that they touch begins with `prefix` and is added to `keys`. */
export async function workload(clients: number, deps: ClientDeps, random: SimRandom, keys: Set<string>, isOver: () => boolean, thinkMsMax = THINK_MS_MAX, setPauseMs = SET_PAUSE_MS, prefix = ''): Promise<void> {
  const known = new KnownVersions();
  const uses = new Map<number, number>();
  const keyOf = (slot: number): string => {
    const used = uses.get(slot) ?? 0;
    uses.set(slot, used + 1);
    const key = `${prefix}k/${slot}-${Math.floor(used / OPERATIONS_PER_KEY)}`;
    keys.add(key);
    return key;
  };
  const client = async (name: string): Promise<void> => {
    const own = random.fork(name);
    const one = new RegisterClient(name, deps, own, known);
    while (!isOver()) {
      await pause(own.float() * thinkMsMax);
      await one.operate(keyOf(own.below(SLOTS)));
    }
    one.close();
  };
  const setClient = async (): Promise<void> => {
    const one = new RegisterClient('set', deps, random.fork('set'), known);
    for (let i = 0; !isOver(); i++) {
      const key = `${prefix}set/${String(i).padStart(5, '0')}`;
      keys.add(key);
      await one.put(key, { kind: 'absent' });
      await pause(setPauseMs);
    }
    one.close();
  };
  await Promise.all([setClient(), ...Array.from({ length: clients }, (_, i) => client(`c${i}`))]);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
