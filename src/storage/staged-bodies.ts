/**
 * Bodies in the log or in files that no record names yet: staged by a writer, or left over from discarded registers, where they serve
 * as a cache for catch-up. They end when a record names them, after the time to live (counted anew at each start), or when
 * there are too many: dropping one is safe, an ACCEPT then fetches the body from another holder.
 * Source: protocol rules R6, R7, R14.
 */
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { BodyId } from '../domain/ids.ts';

export interface BodyLocation {
  /** Log position, or BODY_IN_FILE. */
  readonly at: number;
  readonly size: number;
}

export interface StagedBodiesOptions {
  readonly countMax: number;
  readonly timeToLiveMs: number;
  /** The body is dropped: nothing will name it any more. */
  readonly onDrop: (bodyId: BodyId, location: BodyLocation) => void;
}

export class StagedBodies {
  readonly #options: StagedBodiesOptions;
  /** Oldest first. */
  readonly #bodies = new Map<BodyId, BodyLocation & { readonly since: MonotonicMs }>();

  constructor(options: StagedBodiesOptions) {
    this.#options = options;
  }

  get(bodyId: BodyId, now: MonotonicMs): BodyLocation | null {
    const body = this.#bodies.get(bodyId);
    return body !== undefined && !this.#isExpired(body.since, now) ? body : null;
  }

  add(bodyId: BodyId, location: BodyLocation, now: MonotonicMs): void {
    this.#bodies.delete(bodyId);
    this.#bodies.set(bodyId, { at: location.at, size: location.size, since: now });
    if (this.#bodies.size > this.#options.countMax) this.#dropSome(now);
  }

  /** What has expired, and a sixteenth of the rest, oldest first: walking a Map from its front is cheap only now and then. */
  #dropSome(now: MonotonicMs): void {
    const sizeWanted = this.#options.countMax - Math.floor(this.#options.countMax / 16);
    this.#dropWhile((since) => this.#bodies.size > sizeWanted || this.#isExpired(since, now));
  }

  dropExpired(now: MonotonicMs): void {
    this.#dropWhile((since) => this.#isExpired(since, now));
  }

  #dropWhile(isDue: (since: MonotonicMs) => boolean): void {
    for (const [oldest, body] of this.#bodies) {
      if (!isDue(body.since)) return;
      this.#bodies.delete(oldest);
      this.#options.onDrop(oldest, body);
    }
  }

  #isExpired(since: MonotonicMs, now: MonotonicMs): boolean {
    return elapsedMs(since, now) >= this.#options.timeToLiveMs;
  }

  /** The body is in another place now; its time goes on. */
  move(bodyId: BodyId, at: number): void {
    const body = this.#bodies.get(bodyId);
    if (body !== undefined) this.#bodies.set(bodyId, { ...body, at });
  }

  /** Where it is, expired or not; null: it isn't staged. */
  locationOf(bodyId: BodyId): BodyLocation | null {
    return this.#bodies.get(bodyId) ?? null;
  }

  /** All as they are now, oldest first: locations never change, they are replaced. */
  now(): { readonly ids: readonly BodyId[]; readonly locations: readonly BodyLocation[] } {
    return { ids: [...this.#bodies.keys()], locations: [...this.#bodies.values()] };
  }

  entries(): Iterable<readonly [BodyId, BodyLocation]> {
    return this.#bodies;
  }

  delete(bodyId: BodyId): void {
    this.#bodies.delete(bodyId);
  }
}
