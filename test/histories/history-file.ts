/**
 * The file of a history: what clients called and were answered, one JSON object a line, in the order in which the one
 * process that runs all clients saw it happen. The order of the lines is the real-time order that the checker respects;
 * `ms` is for people. docs/histories.md describes the format for other checkers.
 *
 * Rejected: one line for an operation with two times. It can't be written as it happens, and a run that dies would keep
 * nothing of what was under way.
 */
import { createWriteStream, type WriteStream } from 'node:fs';
import { once } from 'node:events';
import type { HistoryEntry } from '../../src/sim/checkers/linearizability.ts';
import type { ModelCondition } from '../../src/sim/checkers/object-model.ts';

export const HISTORY_FORMAT = 'dht-history';
export const HISTORY_VERSION = 1;

export type HistoryOp =
  | { readonly f: 'get' }
  /** `value` is unique in the file. */
  | { readonly f: 'put'; readonly value: string; readonly condition: ModelCondition }
  | { readonly f: 'delete'; readonly condition: ModelCondition };

export type HistoryResult =
  /** Of a get; null: there was no such object. */
  | { readonly kind: 'value'; readonly value: string | null }
  | { readonly kind: 'stored'; readonly isCreated: boolean }
  /** Whether there was something to delete isn't told. */
  | { readonly kind: 'deleted' }
  | { readonly kind: 'precondition-failed' };

export type HistoryLine =
  | { readonly type: 'head'; readonly format: string; readonly version: number; readonly seed: number; readonly startedAt: string }
  | { readonly type: 'invoke'; readonly op: number; readonly ms: number; readonly client: string; readonly key: string; readonly call: HistoryOp; readonly bytes?: number }
  /** `isRetried`: an earlier try of it had no answer that tells what became of it. */
  | { readonly type: 'ok'; readonly op: number; readonly ms: number; readonly result: HistoryResult; readonly isRetried?: true }
  /** It certainly had no effect. */
  | { readonly type: 'fail'; readonly op: number; readonly ms: number; readonly why: string }
  /** It may have happened, or may happen later, or never. */
  | { readonly type: 'unknown'; readonly op: number; readonly ms: number; readonly why: string }
  | { readonly type: 'fault'; readonly ms: number; readonly what: string };

export type FileEntry = HistoryEntry<HistoryOp, HistoryResult> & { readonly isRetried?: boolean };

export class HistoryRecorder {
  readonly #file: WriteStream;
  readonly #lines: HistoryLine[] = [];
  readonly #beganAt = performance.now();
  #operations = 0;

  constructor(path: string, seed: number) {
    this.#file = createWriteStream(path);
    this.#write({ type: 'head', format: HISTORY_FORMAT, version: HISTORY_VERSION, seed, startedAt: new Date().toISOString() });
  }

  get lines(): readonly HistoryLine[] {
    return this.#lines;
  }

  /** Milliseconds since the beginning. */
  now(): number {
    return Math.round(performance.now() - this.#beganAt);
  }

  invoke(client: string, key: string, call: HistoryOp, bytes?: number): number {
    const op = this.#operations++;
    this.#write({ type: 'invoke', op, ms: this.now(), client, key, call, ...(bytes !== undefined && { bytes }) });
    return op;
  }

  ok(op: number, result: HistoryResult, isRetried = false): void {
    this.#write({ type: 'ok', op, ms: this.now(), result, ...(isRetried && { isRetried }) });
  }

  fail(op: number, why: string): void {
    this.#write({ type: 'fail', op, ms: this.now(), why });
  }

  unknown(op: number, why: string): void {
    this.#write({ type: 'unknown', op, ms: this.now(), why });
  }

  fault(what: string): void {
    this.#write({ type: 'fault', ms: this.now(), what });
  }

  async close(): Promise<void> {
    this.#file.end();
    await once(this.#file, 'close');
  }

  #write(line: HistoryLine): void {
    this.#lines.push(line);
    this.#file.write(`${JSON.stringify(line)}\n`);
  }
}

/** Reads a file's text; throws with the number of the line that is none of ours. */
export function parseHistory(text: string): HistoryLine[] {
  const lines: HistoryLine[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw new Error(`line ${i + 1} is not JSON`);
    }
    const type: unknown = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
    if (typeof type !== 'string' || !['head', 'invoke', 'ok', 'fail', 'unknown', 'fault'].includes(type)) throw new Error(`line ${i + 1} has no type of a history`);
    lines.push(value as HistoryLine);
  }
  const [head] = lines;
  if (head?.type !== 'head' || head.format !== HISTORY_FORMAT || head.version !== HISTORY_VERSION) throw new Error(`the first line is not that of a ${HISTORY_FORMAT} of version ${HISTORY_VERSION}`);
  return lines;
}

/** Operations that may have had an effect or saw something, by their moments in the file. */
export function entriesOf(lines: readonly HistoryLine[]): FileEntry[] {
  const open = new Map<number, { entry: FileEntry; isAnswered: boolean }>();
  for (const [moment, line] of lines.entries()) {
    switch (line.type) {
      case 'head':
      case 'fault':
        break;
      case 'invoke': {
        if (open.has(line.op)) throw new Error(`operation ${line.op} is called twice`);
        const entry: FileEntry = { client: line.client, key: line.key, op: line.call, invokeAt: moment, returnAt: null, result: null };
        open.set(line.op, { entry, isAnswered: false });
        break;
      }
      case 'ok':
      case 'fail':
      case 'unknown': {
        const known = open.get(line.op);
        if (known === undefined || known.isAnswered) throw new Error(`operation ${line.op} is answered without a call`);
        known.isAnswered = true;
        if (line.type === 'ok') known.entry = { ...known.entry, returnAt: moment, result: line.result, isRetried: line.isRetried === true };
        // A read without an answer saw nothing.
        else if (line.type === 'fail' || known.entry.op.f === 'get') open.delete(line.op);
        break;
      }
    }
  }
  return [...open.values()].filter(({ entry, isAnswered }) => isAnswered || entry.op.f !== 'get').map(({ entry }) => entry);
}
