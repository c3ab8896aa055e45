/**
 * What clients did and saw: the input of the checkers. One entry is one *logical* operation, with all its retries under
 * one operation id, from the first call to the last answer.
 *
 * A value is named by the operation that wrote it: the last entry of a record's operation history says which one that
 * was, also for writes whose client never got an answer, and for empty bodies, which all have the same digest.
 */
import type { OpId } from '../domain/ids.ts';
import type { HistoryEntry } from './checkers/linearizability.ts';
import type { ModelOp, ModelResult } from './checkers/object-model.ts';

export type ObjectEntry = HistoryEntry<ModelOp, ModelResult>;

export class History {
  readonly #entries: (ObjectEntry | null)[] = [];
  /** Calls and answers so far: what one sees happen after another is later, also within one instant of virtual time. */
  #moment = 0;
  readonly #digestOf = new Map<string, string>();

  /** Operations that may have had an effect or saw something, in the order of their calls. */
  entries(): readonly ObjectEntry[] {
    return this.#entries.filter((entry) => entry !== null);
  }

  /** A moment of its own, between what was called or answered before and after. */
  moment(): number {
    return this.#moment++;
  }

  /** Opens an entry: its outcome counts as unknown until one of the calls below. Returns its number. */
  invoke(client: string, name: string, op: ModelOp): number {
    return this.#entries.push({ client, key: name, op, invokeAt: this.#moment++, returnAt: null, result: null }) - 1;
  }

  returned(number: number, result: ModelResult): void {
    const entry = this.#entries[number];
    if (entry) this.#entries[number] = { ...entry, returnAt: this.#moment++, result };
  }

  /** It certainly had no effect and saw nothing. */
  drop(number: number): void {
    this.#entries[number] = null;
  }

  /** What the put with this id writes. */
  rememberDigest(opId: OpId, sha256: string): void {
    this.#digestOf.set(opId, sha256);
  }

  /** SHA-256 of what the put wrote; undefined when no put of this run has this id. */
  digestOf(opId: string): string | undefined {
    return this.#digestOf.get(opId);
  }
}
