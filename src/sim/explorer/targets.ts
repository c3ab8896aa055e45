/** All that can be searched, under one name each: registers, the layout chain, `since`. */
import { LARGE_CHAIN_SCOPES, SMALL_CHAIN_SCOPES } from './chain-scopes.ts';
import type { ChainScope } from './chain-scope.ts';
import { ChainSpace } from './chain-space.ts';
import type { RegisterScope } from './register-scope.ts';
import { LARGE_SCOPES, SMALL_SCOPES } from './register-scopes.ts';
import { RegisterSpace } from './register-space.ts';
import type { StateSpace } from './search.ts';
import { SinceSpace, type SinceScope } from './since-space.ts';

export interface SearchTarget {
  readonly name: string;
  readonly open: () => StateSpace;
}

/** Three members, two copies: a node is a replica of some arcs and not of others, and D comes and goes. */
export const SINCE_SCOPE: SinceScope = { name: 'three members and a joiner, two copies, five epochs', since: 'moving', nodes: 4, members: 3, replicas: 2, epochMax: 5 };

const SMALL_SINCE_SCOPES: readonly SinceScope[] = [
  SINCE_SCOPE,
  { name: 'two members and a joiner, one copy, six epochs', since: 'moving', nodes: 3, members: 2, replicas: 1, epochMax: 6 },
];

const LARGE_SINCE_SCOPES: readonly SinceScope[] = [{ ...SINCE_SCOPE, name: 'three members and a joiner, two copies, six epochs', epochMax: 6 }];

function targets(registers: readonly RegisterScope[], chains: readonly ChainScope[], sinces: readonly SinceScope[]): readonly SearchTarget[] {
  return [
    ...registers.map((scope) => ({ name: `register: ${scope.name}`, open: () => new RegisterSpace(scope) })),
    ...chains.map((scope) => ({ name: `layout chain: ${scope.name}`, open: () => new ChainSpace(scope) })),
    ...sinces.map((scope) => ({ name: `since: ${scope.name}`, open: () => new SinceSpace(scope) })),
  ];
}

/** Searched to the end in seconds. */
export const SMALL_TARGETS: readonly SearchTarget[] = targets(SMALL_SCOPES, SMALL_CHAIN_SCOPES, SMALL_SINCE_SCOPES);

/** Up to millions of states. */
export const LARGE_TARGETS: readonly SearchTarget[] = targets(LARGE_SCOPES, LARGE_CHAIN_SCOPES, LARGE_SINCE_SCOPES);
