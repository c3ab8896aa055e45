/**
 * Sequential model of one object for the linearizability checker: what put, get and delete with conditions may answer
 * when they happen one after the other. A value is known by the tag of the put that wrote it (unique in a history), so
 * the versions of puts whose answers were lost needn't be known.
 */
import type { SequentialModel } from './linearizability.ts';

/** Tag of the live value; null: absent. */
export type ObjectState = string | null;

export type ModelCondition =
  | { readonly kind: 'none' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'present' }
  /** The value with this tag. */
  | { readonly kind: 'tag'; readonly tag: string };

export type ModelOp =
  | { readonly kind: 'put'; readonly tag: string; readonly condition: ModelCondition }
  | { readonly kind: 'delete'; readonly condition: ModelCondition }
  | { readonly kind: 'get' };

export type ModelResult =
  | { readonly kind: 'stored'; readonly isCreated: boolean }
  | { readonly kind: 'deleted'; readonly wasPresent: boolean }
  | { readonly kind: 'precondition-failed' }
  | { readonly kind: 'value'; readonly tag: string | null };

function isMet(condition: ModelCondition, state: ObjectState): boolean {
  switch (condition.kind) {
    case 'none': return true;
    case 'absent': return state === null;
    case 'present': return state !== null;
    case 'tag': return state === condition.tag;
  }
}

/** Wraps the state so that null can mean "not possible". */
export interface ObjectCell {
  readonly tag: ObjectState;
}

export const OBJECT_MODEL: SequentialModel<ObjectCell, ModelOp, ModelResult> = {
  initial: { tag: null },
  step(state, op, result) {
    if (op.kind === 'get') return result === null || (result.kind === 'value' && result.tag === state.tag) ? state : null;
    if (!isMet(op.condition, state.tag)) return result === null || result.kind === 'precondition-failed' ? state : null;
    if (op.kind === 'put') {
      const fits = result === null || (result.kind === 'stored' && result.isCreated === (state.tag === null));
      return fits ? { tag: op.tag } : null;
    }
    const fits = result === null || (result.kind === 'deleted' && result.wasPresent === (state.tag !== null));
    return fits ? { tag: null } : null;
  },
  text: (state) => state.tag ?? '-',
};
