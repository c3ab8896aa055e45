/**
 * The scopes of the register search. Small ones are searched by the tests in seconds; the large ones by
 * `npm run sim:explore -- --large`. Each is small enough to be searched to its end, so "no violation" means that none exists in
 * it. Any two letters of C.1 that work only together should meet in some scope.
 */
import { ALL_RULES } from '../../domain/rules.ts';
import { moveLayouts, nodeIdOf, stableLayout, type ActorPlan, type PlannedCondition, type RegisterScope } from './register-scope.ts';

/** A scope with three replicas in one layout, a value, and nothing else; to be changed where a scope differs. */
export const PLAIN_SCOPE: RegisterScope = {
  name: '', rules: ALL_RULES, isEpochInBallot: true, replicas: 3, layouts: [stableLayout('abc')], initial: 'value', leftovers: [], actors: [], copies: 0, hasEraser: false,
};

/** Replica D takes the place of A. */
export const MOVE_SCOPE: RegisterScope = { ...PLAIN_SCOPE, replicas: 4, layouts: moveLayouts('abc', 'bcd') };

export function put(condition: PlannedCondition, ...clocks: readonly number[]): ActorPlan {
  return { kind: 'put', condition, rounds: clocks.map((hlc) => ({ hlc, node: 'c' })) };
}

export function remove(condition: PlannedCondition, ...clocks: readonly number[]): ActorPlan {
  return { kind: 'delete', condition, rounds: clocks.map((hlc) => ({ hlc, node: 'c' })) };
}

/** With a clock value it may have an identity round; without, it answers only when one round settles it. */
export function get(...clocks: readonly number[]): ActorPlan {
  return { kind: 'get', condition: 'none', rounds: clocks.map((hlc) => ({ hlc, node: 'c' })) };
}

export const SMALL_SCOPES: readonly RegisterScope[] = [
  { ...PLAIN_SCOPE, name: 'put, put if unchanged, delete, fast read', actors: [put('none', 10), put('first', 11), remove('none', 12), get()] },
  { ...PLAIN_SCOPE, name: 'two conditional puts on nothing, fast read', initial: 'absent', actors: [put('absent', 10), put('absent', 11), get()] },
  { ...PLAIN_SCOPE, name: 'put, put if unchanged, read with identity round, fast read', actors: [put('none', 10), put('first', 11), get(12), get()] },
  { ...PLAIN_SCOPE, name: 'put, put if unchanged, fast read, anti-entropy copy', copies: 1, actors: [put('none', 10), put('first', 11), get()] },
  { ...PLAIN_SCOPE, name: 'put that retries, put, fast read', actors: [put('none', 10, 12), put('none', 11), get()] },
  { ...PLAIN_SCOPE, name: 'conditional put that retries, conditional put on it', actors: [put('first', 10, 12), put(0, 13), get()] },
  { ...PLAIN_SCOPE, name: 'put that retries, delete, eraser', hasEraser: true, actors: [put('none', 10, 12), remove('none', 11)] },
  { ...PLAIN_SCOPE, name: 'put, delete, put, eraser', hasEraser: true, actors: [put('none', 10), remove('none', 11), put('none', 12)] },
  { ...PLAIN_SCOPE, name: 'put, delete, eraser, anti-entropy copy', hasEraser: true, copies: 1, actors: [put('none', 10), remove('none', 11)] },
  { ...PLAIN_SCOPE, name: 'a node restarts with its clock set back and uses a ballot again', actors: [put('none', 10), put('none', 10), get()] },
  { ...MOVE_SCOPE, name: 'put during a move', actors: [put('none', 10)] },
  { ...MOVE_SCOPE, name: 'a joiner with leftovers of an erased value', initial: 'erased', leftovers: [nodeIdOf('d')], actors: [put('absent', 10)] },
];

export const LARGE_SCOPES: readonly RegisterScope[] = [
  { ...PLAIN_SCOPE, name: 'two conditional puts that retry, fast read', actors: [put('first', 10, 13), put('first', 11, 12), get()] },
  { ...PLAIN_SCOPE, name: 'delete that retries, put if absent, eraser, fast read', hasEraser: true, actors: [remove('none', 10, 12), put('absent', 11), get()] },
  { ...PLAIN_SCOPE, name: 'put that retries late, delete, put, delete, eraser', initial: 'absent', hasEraser: true, actors: [put('none', 10, 15), remove('none', 11), put('none', 12), remove('none', 13)] },
  { ...PLAIN_SCOPE, name: 'put if absent that retries, delete, eraser, anti-entropy copy', initial: 'tombstone', hasEraser: true, copies: 1, actors: [put('absent', 10, 13), remove('none', 11)] },
  { ...MOVE_SCOPE, name: 'a replica goes and comes back: put during two moves', layouts: [...moveLayouts('abc', 'bcd'), ...moveLayouts('bcd', 'abd').slice(1)], actors: [put('none', 10)] },
  {
    ...PLAIN_SCOPE, name: 'two puts, put if unchanged, delete, fast read, anti-entropy copy',
    copies: 1, actors: [put('none', 10), put('first', 11), put('none', 12), remove('none', 13), get()],
  },
  {
    ...PLAIN_SCOPE, name: 'put that retries, put if unchanged, delete, put, eraser, anti-entropy copy',
    hasEraser: true, copies: 1, actors: [put('none', 10, 14), put('first', 11), remove('none', 12), put('none', 13)],
  },
  { ...PLAIN_SCOPE, name: 'four replicas: put, put if unchanged, delete, fast read', replicas: 4, layouts: [stableLayout('abcd')], actors: [put('none', 10), put('first', 11), remove('none', 12), get()] },
  { ...MOVE_SCOPE, name: 'two puts during a move', actors: [put('none', 10), put('first', 11)] },
  { ...MOVE_SCOPE, name: 'put and delete during a move, eraser', hasEraser: true, actors: [put('none', 10), remove('none', 11)] },
  { ...MOVE_SCOPE, name: 'put during a move, anti-entropy copy, fast read', copies: 1, actors: [put('none', 10), get()] },
];
