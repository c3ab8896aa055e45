/**
 * Whether a history is one of linearizable registers, key by key: the search of the simulator's checker with a model that
 * knows what HTTP tells (a DELETE doesn't say whether there was something). Then, without any search and therefore
 * independent of it: what the last reads saw was written by a put that no acknowledged write came strictly after, and all
 * last reads of a key saw the same. Resurrection of a deleted value is a case of both.
 */
import { checkLinearizability, type SequentialModel } from '../../src/sim/checkers/linearizability.ts';
import { OBJECT_MODEL, type ModelOp, type ObjectCell } from '../../src/sim/checkers/object-model.ts';
import { OPS_KEPT_MAX } from '../../src/domain/stored-object.ts';
import { entriesOf, type FileEntry, type HistoryLine, type HistoryOp, type HistoryResult } from './history-file.ts';

/** Steps of the search for one key; a key has some hundred operations, a handful of them unknown. */
const STEPS_MAX = 2_000_000;
/** Clients of this name read at rest, after all others have ended. */
export const AUDITOR = 'audit';

const FILE_MODEL: SequentialModel<ObjectCell, HistoryOp, HistoryResult> = {
  initial: OBJECT_MODEL.initial,
  text: OBJECT_MODEL.text,
  step(state, op, result) {
    const modelOp = modelOpOf(op);
    if (result === null) return OBJECT_MODEL.step(state, modelOp, null);
    switch (result.kind) {
      case 'value': return OBJECT_MODEL.step(state, modelOp, { kind: 'value', tag: result.value });
      case 'stored': return OBJECT_MODEL.step(state, modelOp, result);
      case 'deleted': return OBJECT_MODEL.step(state, modelOp, { kind: 'deleted', wasPresent: state.tag !== null });
      case 'precondition-failed': return OBJECT_MODEL.step(state, modelOp, result);
    }
  },
};

function modelOpOf(op: HistoryOp): ModelOp {
  switch (op.f) {
    case 'get': return { kind: 'get' };
    case 'put': return { kind: 'put', tag: op.value, condition: op.condition };
    case 'delete': return { kind: 'delete', condition: op.condition };
  }
}

export interface HistoryVerdict {
  readonly keys: number;
  readonly operations: number;
  /** Empty: the history is as promised. Each is a text of some lines. */
  readonly wrong: readonly string[];
  /** Keys that are in order only if an early try of a retried write came late (`lateTries`): allowed, and to be told. */
  readonly late: readonly string[];
}

export function checkHistory(lines: readonly HistoryLine[]): HistoryVerdict {
  const entries = entriesOf(lines);
  const byKey = Map.groupBy(entries, ({ key }) => key);
  const wrong: string[] = [];
  const late: string[] = [];
  for (const [key, own] of byKey) {
    const strict = wrongIn(key, own);
    const tries = strict.length === 0 ? [] : lateTries(own);
    const lenient = tries.length === 0 ? strict : wrongIn(key, [...own, ...tries]);
    wrong.push(...lenient);
    if (lenient.length < strict.length) late.push(key);
  }
  return { keys: byKey.size, operations: entries.length, wrong, late };
}

function wrongIn(key: string, entries: readonly FileEntry[]): readonly string[] {
  const verdict = checkLinearizability(entries, FILE_MODEL, STEPS_MAX);
  const wrong = checkEnd(key, entries);
  switch (verdict.kind) {
    case 'undecided': return [`"${key}" is undecided after ${STEPS_MAX} steps: no pass`, ...wrong];
    case 'violation': return [`"${key}" is not linearizable. The longest order found ends with\n${verdict.prefix.slice(-8).map(entryText).join('\n')}\nthen none of these fits:\n${verdict.stuck.map(entryText).join('\n')}`, ...wrong];
    default: return wrong;
  }
}

/**
 * A key recognises a try that comes late by the last operations on it. So the first try of an operation that was tried again
 * may be applied once more when that many others have come between: a node that is cut off keeps it, and its client has
 * succeeded elsewhere. Such a try counts as one more write of unknown outcome, which begins then.
 */
function lateTries(entries: readonly FileEntry[]): readonly FileEntry[] {
  const writes = entries.filter(({ op, result }) => op.f !== 'get' && result?.kind !== 'precondition-failed').toSorted((a, b) => a.invokeAt - b.invokeAt);
  return writes.flatMap((entry) => {
    if (entry.isRetried !== true) return [];
    const others = writes.filter((other) => other !== entry && (other.returnAt ?? Infinity) > entry.invokeAt);
    const last = others[OPS_KEPT_MAX - 1];
    return last === undefined ? [] : [{ client: `${entry.client}, an early try`, key: entry.key, op: entry.op, invokeAt: last.invokeAt, returnAt: null, result: null }];
  });
}

/** What the reads at rest say against the acknowledged writes. */
function checkEnd(key: string, entries: readonly FileEntry[]): readonly string[] {
  const reads = entries.flatMap(({ client, result }) => (client === AUDITOR && result?.kind === 'value' ? [result.value] : []));
  if (reads.length === 0) return [];
  const seen = new Set(reads);
  if (seen.size > 1) return [`"${key}" is read at rest as ${[...seen].map((value) => value ?? 'nothing').join(' and as ')}`];
  const writes = entries.filter(({ op, result }) => op.f !== 'get' && result?.kind !== 'precondition-failed');
  const acknowledged = writes.filter(({ returnAt }) => returnAt !== null);
  const last = writes.filter(({ returnAt }) => !acknowledged.some(({ invokeAt }) => invokeAt > (returnAt ?? Infinity)));
  const value = reads[0] ?? null;
  const isPossible = value === null ? acknowledged.length === 0 || last.some(({ op }) => op.f === 'delete') : last.some(({ op }) => op.f === 'put' && op.value === value);
  return isPossible ? [] : [`"${key}" is read at rest as ${value ?? 'nothing'}, but the last writes are\n${last.map(entryText).join('\n')}`];
}

function entryText({ client, op, result, invokeAt, returnAt }: FileEntry): string {
  const condition = op.f === 'get' || op.condition.kind === 'none' ? '' : ` if ${op.condition.kind}${op.condition.kind === 'tag' ? ` ${op.condition.tag}` : ''}`;
  const answer = result === null ? 'unknown' : result.kind === 'value' ? (result.value ?? 'nothing') : result.kind === 'stored' ? (result.isCreated ? 'created' : 'replaced') : result.kind;
  return `  line ${invokeAt + 1} to ${returnAt === null ? '?' : returnAt + 1}: ${client} ${op.f}${op.f === 'put' ? ` ${op.value}` : ''}${condition} -> ${answer}`;
}
