/**
 * Reads and overwrites of objects that exist from the start, as a user of them all: whoever finds one missing has found a
 * lost object. Each virtual user remembers the newest version it saw of each key and must not be shown an older one. It comes
 * back to what it touched last, or among thousands of objects it would rarely meet one again and see nothing stale.
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

/** Keys of which a user remembers the version; there may be thousands of users. */
const WATCHES_MAX = 500;
/** Of a user's reads, those of an object among the last that it touched. */
const AGAIN_SHARE = 0.5;
const LAST_TOUCHED = 8;

export class MixedLoad {
  readonly store = new GatewayStore();
  readonly #keys: KeySpace;
  readonly #watches = new Map<number, KeyWatch>();
  readonly #touched: number[] = [];
  #random: SeededRandom | null = null;

  constructor(keys: KeySpace) {
    this.#keys = keys;
  }

  /** Seeded by the user's number, which is known only when the load runs. */
  get random(): SeededRandom {
    return (this.#random ??= new SeededRandom(seed * 1_000_003 + exec.vu.idInTest));
  }

  /** One read or one overwrite, of the object given or of any; whether it was answered. */
  async request(given: number | null = null): Promise<boolean> {
    const isRead = this.#isRead();
    const index = given ?? this.#choose(isRead);
    return isRead ? await this.#read(index) : await this.#write(index, exec.scenario.iterationInTest + 1);
  }

  /** The same by a client that goes on until it succeeds. */
  async persistentRequest(): Promise<void> {
    const isRead = this.#isRead();
    const index = this.#choose(isRead);
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

  #isRead(): boolean {
    return this.random.next() < profile.getShare;
  }

  #choose(isRead: boolean): number {
    const again = this.#touched[this.random.below(Math.max(1, this.#touched.length))];
    if (isRead && again !== undefined && this.random.next() < AGAIN_SHARE) return again;
    const index = this.random.below(profile.keys);
    this.#touched.unshift(index);
    if (this.#touched.length > LAST_TOUCHED) this.#touched.pop();
    return index;
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
    const known = this.#watches.get(index);
    if (known !== undefined) return known;
    const [oldest] = this.#watches.keys();
    if (oldest !== undefined && this.#watches.size >= WATCHES_MAX) this.#watches.delete(oldest);
    const watch = new KeyWatch(this.#keys.shared(index), expectedDigest, { isOwn: false, initial: 0 });
    this.#watches.set(index, watch);
    return watch;
  }
}
