/**
 * What one client may still be shown of a key, given everything it was told before, and the verdict on what it is shown.
 *
 * - lost: an acknowledged PUT isn't there.
 * - stale: an older version than one that this client has seen or had acknowledged, or an object that it deleted.
 * - corrupt: other bytes than those that the object's generation stands for.
 *
 * A write without a clear answer may take effect at any later time, or never; its generation stays possible for good.
 * A key that others write too can't be held against what this client wrote last, but its version still never goes back.
 */
import { compareVersions, type ReadAnswer, type WriteAnswer } from './answers.ts';

export type Verdict =
  | { readonly kind: 'right' }
  /** Nothing was shown, so nothing can be said. */
  | { readonly kind: 'unavailable'; readonly detail: string }
  | { readonly kind: 'lost' | 'stale' | 'corrupt'; readonly detail: string };

/** Gives the SHA-256 that a generation of a key has. */
export type ExpectedDigest = (key: string, generation: number, size: number) => string;

/** Generations that may be there; 'absent' for a delete. */
type Possible = number | 'absent';

const RIGHT: Verdict = { kind: 'right' };

export class KeyWatch {
  readonly key: string;
  readonly #isOwn: boolean;
  readonly #digest: ExpectedDigest;
  /** The newest version seen. */
  #floor: string | null = null;
  /** What the last clear answer left there; null: not known. */
  #last: Possible | null;
  readonly #unclear = new Set<Possible>();

  /** `isOwn`: nobody else writes it. `initial`: the generation that it is known to have, of a shared key: that it exists. */
  constructor(key: string, digest: ExpectedDigest, options: { readonly isOwn: boolean; readonly initial: Possible | null }) {
    this.key = key;
    this.#digest = digest;
    this.#isOwn = options.isOwn;
    this.#last = options.initial;
  }

  wrote(generation: Possible, answer: WriteAnswer): void {
    switch (answer.kind) {
      case 'acknowledged':
        this.#last = generation;
        if (answer.version !== null) this.#raise(answer.version);
        break;
      case 'unknown':
        this.#unclear.add(generation);
        break;
      case 'not-applied':
        break;
    }
  }

  judge(answer: ReadAnswer): Verdict {
    switch (answer.kind) {
      case 'unavailable':
        return { kind: 'unavailable', detail: answer.detail };
      case 'absent':
        if (this.#last === null || this.#last === 'absent' || this.#unclear.has('absent')) return RIGHT;
        return { kind: 'lost', detail: `${this.key}: 404, but generation ${this.#last} was acknowledged` };
      case 'found':
        return this.#judgeFound(answer);
    }
  }

  /** A version that someone was acknowledged before this client began. */
  expectAtLeast(version: string): void {
    this.#raise(version);
  }

  #judgeFound({ version, generation, size, sha256 }: Extract<ReadAnswer, { kind: 'found' }>): Verdict {
    if (!Number.isSafeInteger(generation)) return { kind: 'corrupt', detail: `${this.key}: its generation is gone` };
    if (this.#digest(this.key, generation, size) !== sha256) return { kind: 'corrupt', detail: `${this.key}: ${size} bytes that are not generation ${generation}` };
    if (this.#floor !== null && compareVersions(version, this.#floor) < 0) return { kind: 'stale', detail: `${this.key}: version ${version} after ${this.#floor}` };
    if (this.#isOwn && this.#last !== null && this.#last !== generation && !this.#unclear.has(generation)) {
      return { kind: 'stale', detail: `${this.key}: generation ${generation}, ${this.#last === 'absent' ? 'but it was deleted' : `but ${this.#last} was acknowledged`}` };
    }
    this.#raise(version);
    return RIGHT;
  }

  #raise(version: string): void {
    if (this.#floor === null || compareVersions(version, this.#floor) > 0) this.#floor = version;
  }
}
