/**
 * Token allocation: where on the ring a joining member goes. Token 0 is its key, always; each further token is the best
 * of C candidates that are hashed from the member's name, where best means: the bytes stored per capacity vary least
 * over the members. Sixteen tokens chosen so balance better than 256 random ones, at the price of sixteen.
 *
 * "Stored" counts all copies, by the real preference lists (zones too). A small part of the score counts what members
 * own alone: it decides while every member holds everything (members <= n). Tokens are chosen one after the other,
 * then each is chosen again with the others in place, because the first ones were chosen blindly.
 *
 * Invariants: a function of the joiner, the members present and C alone; further tokens are unique on the ring (a taken
 * candidate makes room for the next); token 0 may meet another token, then the walk orders them by nodeId. On a ring
 * too small for all tokens a member gets fewer. `tokens = 1` is the seed's ring.
 * Cost: passes * tokens * C evaluations, each of the few arcs whose list meets the candidate.
 * Rejected: bisecting the widest arc (1.4 times the mean for up to ten nodes); more candidates instead of a second pass.
 * Source: [Dynamo] "Ensuring Uniform Load distribution"; [Cassandra] "Token allocation".
 */
import { must } from '../domain/assert.ts';
import type { NodeId } from '../domain/ids.ts';
import { parseAddress } from '../domain/node-address.ts';
import { ringSize, type Position } from '../domain/ring-position.ts';
import { hasher, nodeKey } from './hasher.ts';
import { preferenceWalk } from './preference-list.ts';
import { tokenIndexAt, tokenRing, type RingMember, type TokenRing } from './token-ring.ts';

export interface WeightedMember extends RingMember {
  readonly weight: number;
}

export interface TokenWish {
  readonly nodeId: NodeId;
  /** `host:port`. */
  readonly name: string;
  readonly zone: string;
  readonly weight: number;
}

export interface TokenAllocationOptions {
  readonly keyBits: number;
  /** n, the wanted number of copies. */
  readonly replicas: number;
  readonly tokensPerNode: number;
  readonly candidatesPerToken: number;
}

/** How often each token is chosen: from the second time on with all others in place. A fourth pass gained nothing. */
const PASSES = 3;
/** What the variance of owned bytes counts beside that of stored bytes: with half as much as stored ones 30 nodes exceed 1.10. */
const OWNED_PART = 0.2;
/** Hashes tried for each wanted candidate until a ring counts as full. */
const TRIES_PER_CANDIDATE = 8;

/** The tokens of a member that joins those present; tokens[0] is its key. */
export function allocateTokens(joiner: TokenWish, present: readonly WeightedMember[], options: TokenAllocationOptions): Position[] {
  const address = must(parseAddress(joiner.name), `address of ${joiner.name}`);
  const tokens = [nodeKey(address, options.keyBits)];
  if (options.tokensPerNode === 1) return tokens;

  const self: WeightedMember = { nodeId: joiner.nodeId, tokens, zone: joiner.zone, weight: joiner.weight };
  const score = new BalanceScore([...present, self], options);
  for (let pass = 0; pass < PASSES; pass++) {
    for (let i = 1; i < options.tokensPerNode; i++) {
      const former = tokens[i];
      if (former !== undefined) score.remove(former, self.nodeId);
      const best = bestCandidate(score, joiner, i, options);
      // Only a ring too small for all tokens has no free candidate; then this token and the later ones are left out.
      if (best === null) return tokens;
      score.insert(best, self.nodeId);
      tokens[i] = best;
    }
  }
  return tokens;
}

function bestCandidate(score: BalanceScore, joiner: TokenWish, token: number, options: TokenAllocationOptions): Position | null {
  const { keyBits, candidatesPerToken } = options;
  const { nodeId, name } = joiner;
  let best: Position | null = null;
  let bestScore = Infinity;
  let free = 0;
  for (let c = 0; c < candidatesPerToken * TRIES_PER_CANDIDATE && free < candidatesPerToken; c++) {
    const candidate = hasher(`${name}#${token}.${c}`, keyBits);
    if (score.isTaken(candidate)) continue;
    free++;
    score.insert(candidate, nodeId);
    const value = score.value();
    score.remove(candidate, nodeId);
    if (value < bestScore) {
      best = candidate;
      bestScore = value;
    }
  }
  return best;
}

/**
 * The ring with the bytes that each member stores and owns, in ring positions; kept up to date by inserting and
 * removing single tokens. All sums are integers below 2^53, so they never drift.
 */
class BalanceScore {
  readonly #ring: TokenRing;
  readonly #copies: number;
  readonly #size: number;
  readonly #weights: readonly number[];
  readonly #stored: number[];
  readonly #owned: number[];

  constructor(members: readonly WeightedMember[], options: TokenAllocationOptions) {
    this.#ring = tokenRing(members);
    this.#copies = Math.min(options.replicas, members.length);
    this.#size = ringSize(options.keyBits);
    const weights = new Map(members.map((member) => [member.nodeId, member.weight]));
    this.#weights = this.#ring.nodeIds.map((nodeId) => weights.get(nodeId) ?? 1);
    this.#stored = members.map(() => 0);
    this.#owned = members.map(() => 0);
    this.#count(0, this.#ring.positions.length, 1);
  }

  isTaken(position: Position): boolean {
    return this.#ring.positions[tokenIndexAt(this.#ring, position)] === position;
  }

  /** Sum of bytes²/weight: smallest when bytes are proportional to weights. */
  value(): number {
    let sum = 0;
    for (let i = 0; i < this.#weights.length; i++) {
      const stored = (this.#stored[i] as number) / this.#size;
      const owned = (this.#owned[i] as number) / this.#size;
      sum += (stored * stored + OWNED_PART * owned * owned) / (this.#weights[i] as number);
    }
    return sum;
  }

  insert(position: Position, nodeId: NodeId): void {
    this.#change(position, this.#ring.nodeIds.indexOf(nodeId), 1);
  }

  remove(position: Position, nodeId: NodeId): void {
    this.#change(position, this.#ring.nodeIds.indexOf(nodeId), -1);
  }

  /** With the token the arcs before it whose walk meets it, its own and the next one differ from those without it. */
  #change(position: Position, holder: number, sign: 1 | -1): void {
    const { positions, holders } = this.#ring;
    const next = tokenIndexAt(this.#ring, position);
    const at = sign === -1 || (positions[next] as number) >= position ? next : positions.length;
    if (sign === 1) {
      positions.splice(at, 0, position);
      holders.splice(at, 0, holder);
    }
    const reach = this.#reach(at);
    const arcs = Math.min(reach + 2, positions.length);
    this.#count(at - reach, arcs, sign);
    positions.splice(at, 1);
    holders.splice(at, 1);
    this.#count(at - reach, arcs - 1, sign === 1 ? -1 : 1);
    if (sign === 1) {
      positions.splice(at, 0, position);
      holders.splice(at, 0, holder);
    }
  }

  /** How many arcs before the token's own have a list whose walk meets it. */
  #reach(at: number): number {
    const count = this.#ring.positions.length;
    let reach = 0;
    while (reach + 1 < count && preferenceWalk(this.#ring, (at - reach - 1 + count) % count, this.#copies).steps > reach + 1) reach++;
    return reach;
  }

  #count(from: number, arcs: number, sign: number): void {
    const { positions } = this.#ring;
    const total = positions.length;
    for (let i = 0; i < arcs; i++) {
      const at = (from + i + total) % total;
      const length = this.#arcLength(at);
      const { list } = preferenceWalk(this.#ring, at, this.#copies);
      list.forEach((holder, rank) => {
        this.#stored[holder] = (this.#stored[holder] as number) + sign * length;
        if (rank === 0) this.#owned[holder] = (this.#owned[holder] as number) + sign * length;
      });
    }
  }

  #arcLength(at: number): number {
    const { positions } = this.#ring;
    if (positions.length === 1) return this.#size;
    const before = positions[(at + positions.length - 1) % positions.length] as number;
    const length = (positions[at] as number) - before;
    return length > 0 || (length === 0 && at > 0) ? length : length + this.#size;
  }
}
