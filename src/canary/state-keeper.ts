/**
 * Keeps the canary's memory in the ring: one small object, written only over the version that this process knows. So of
 * two canaries with one set only the later one goes on; the other finds its save refused, and no write of it can leave.
 * Likewise when the memory was removed.
 *
 * Saves that are asked for while one is under way share the next. A save without a known outcome counts as failed; when
 * the next one is refused the object says whether the earlier was ours.
 */
import { parseState, stateText, type CanaryState } from './canary-state.ts';
import type { CanaryRequests, Condition } from './canary-requests.ts';
import { digestHeader } from './payload.ts';

export type Loaded =
  | { readonly kind: 'found'; readonly state: CanaryState }
  | { readonly kind: 'none' }
  /** Other bytes than a canary writes. */
  | { readonly kind: 'unreadable' }
  | { readonly kind: 'unavailable'; readonly reason: string };

export type Saved = 'ok' | 'failed' | 'superseded';

export class StateKeeper {
  readonly #requests: CanaryRequests;
  readonly #name: string;
  readonly #run: string;
  readonly #current: () => CanaryState;
  #condition: Condition = { kind: 'absent' };
  #running: Promise<Saved> | null = null;
  #waiting: Promise<Saved> | null = null;
  #isSuperseded = false;

  /** `current` is asked when a save begins. */
  constructor(requests: CanaryRequests, name: string, run: string, current: () => CanaryState) {
    this.#requests = requests;
    this.#name = name;
    this.#run = run;
    this.#current = current;
  }

  /** What an earlier canary left; the first save after it takes the set over, if no other came between. */
  load(): Promise<Loaded> {
    this.#isSuperseded = false;
    return this.#look();
  }

  async #look(): Promise<Loaded> {
    const answer = await this.#requests.read(this.#name);
    if (answer.kind === 'unavailable' || answer.kind === 'error') return { kind: 'unavailable', reason: answer.reason };
    this.#condition = answer.kind === 'absent' ? { kind: 'absent' } : { kind: 'etag', etag: answer.etag };
    if (answer.kind === 'absent') return { kind: 'none' };
    const state = parseState(answer.body.toString('utf8'));
    return state === null ? { kind: 'unreadable' } : { kind: 'found', state };
  }

  /** Resolves when what is true now is kept. */
  save(): Promise<Saved> {
    if (this.#running === null) return this.#begin();
    const { promise, resolve } = Promise.withResolvers<Saved>();
    if (this.#waiting === null) {
      this.#waiting = promise;
      void this.#running.then(() => {
        this.#waiting = null;
        void this.#begin().then(resolve);
      });
    }
    return this.#waiting;
  }

  #begin(): Promise<Saved> {
    this.#running = this.#write().then((saved) => {
      this.#running = null;
      return saved;
    });
    return this.#running;
  }

  async #write(): Promise<Saved> {
    if (this.#isSuperseded) return 'superseded';
    const body = Buffer.from(stateText(this.#current()));
    const saved = await this.#store(body);
    if (saved !== 'conflict') return saved;
    // An earlier save of ours without an answer, or another canary.
    const hadOne = this.#condition.kind === 'etag';
    const loaded = await this.#look();
    if (loaded.kind === 'unavailable') return 'failed';
    const isOurs = loaded.kind === 'found' ? loaded.state.run === this.#run : loaded.kind === 'none' && !hadOne;
    this.#isSuperseded = !isOurs;
    if (this.#isSuperseded) return 'superseded';
    const again = await this.#store(body);
    return again === 'conflict' ? 'failed' : again;
  }

  async #store(body: Buffer): Promise<'ok' | 'failed' | 'conflict'> {
    const answer = await this.#requests.store(this.#name, body, digestHeader(body), this.#condition);
    if (answer.kind === 'conflict') return 'conflict';
    if (answer.kind !== 'ok') return 'failed';
    // Without its ETag the next save has to look first; no version has this one.
    this.#condition = { kind: 'etag', etag: answer.etag ?? '"unknown"' };
    return 'ok';
  }
}
