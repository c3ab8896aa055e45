/**
 * Reads and overwrites of objects that exist from the start, as a user of them all: whoever finds one missing has found a
 * lost object. Each virtual user remembers the newest version it saw of each key and must not be shown an older one.
 */
import { sleep } from 'k6';
import exec from 'k6/execution';
import { SeededRandom, type KeySpace } from '../lib/keys.ts';
import { KeyWatch, type Verdict } from '../lib/key-watch.ts';
import { payload } from '../lib/payload.ts';
import { profile, seed } from './config.ts';
import { findings, refusedMs } from './measures.ts';
import { expectedDigest, GatewayStore } from './store.ts';

const RETRY_SECONDS = 0.1;
/** Longer than any outage that a scenario allows. */
const RETRY_MS_MAX = 60_000;

export class MixedLoad {
  readonly store = new GatewayStore();
  readonly #keys: KeySpace;
  readonly #watches = new Map<number, KeyWatch>();
  #random: SeededRandom | null = null;

  constructor(keys: KeySpace) {
    this.#keys = keys;
  }

  /** Seeded by the user's number, which is known only when the load runs. */
  get random(): SeededRandom {
    return (this.#random ??= new SeededRandom(seed * 1_000_003 + exec.vu.idInTest));
  }

  /** One read or one overwrite; whether it was answered. */
  async request(index: number = this.random.below(profile.keys)): Promise<boolean> {
    return this.random.next() < profile.getShare ? await this.#read(index) : await this.#write(index, exec.scenario.iterationInTest + 1);
  }

  /** The same by a client that goes on until it succeeds. */
  async persistentRequest(): Promise<void> {
    const index = this.random.below(profile.keys);
    const isRead = this.random.next() < profile.getShare;
    const generation = exec.scenario.iterationInTest + 1;
    const begin = Date.now();
    while (!(isRead ? await this.#read(index) : await this.#write(index, generation))) {
      this.store.isRetrying = true;
      if (Date.now() - begin > RETRY_MS_MAX) break;
      sleep(RETRY_SECONDS);
    }
    if (this.store.isRetrying) refusedMs.add(Date.now() - begin);
    this.store.isRetrying = false;
  }

  async #read(index: number): Promise<boolean> {
    const watch = this.#watch(index);
    const verdict: Verdict = watch.judge(await this.store.get(watch.key));
    findings.verdict(verdict);
    return verdict.kind !== 'unavailable';
  }

  async #write(index: number, generation: number): Promise<boolean> {
    const watch = this.#watch(index);
    const answer = await this.store.put(watch.key, generation, payload(watch.key, generation, profile.bodyBytes));
    watch.wrote(generation, answer);
    return answer.kind === 'acknowledged';
  }

  #watch(index: number): KeyWatch {
    let watch = this.#watches.get(index);
    if (watch === undefined) this.#watches.set(index, watch = new KeyWatch(this.#keys.shared(index), expectedDigest, { isOwn: false, initial: 0 }));
    return watch;
  }
}
