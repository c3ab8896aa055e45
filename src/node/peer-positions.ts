/**
 * What this node remembers of its peers' logs: the highest (boot, fsynced position) that each of them showed. When a
 * peer comes back with less, it lost acknowledged state (a restored snapshot, a rotten tail) and must not vote.
 *
 * Kept exactly in memory, and durably at most once in `saveIntervalMs` for each peer, so that pings don't fill the log.
 * Source: protocol rule R16; [Amnesia17] "Recovering from crash with amnesia".
 */
import type { NodeId } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { Clock } from '../ports/clock.ts';
import type { BootPosition } from '../protocol/message.ts';
import type { NodeStateStore } from '../storage/register-store.ts';

interface Remembered extends BootPosition {
  readonly savedAt: MonotonicMs;
  readonly savedBoot: number;
}

export class PeerPositions {
  readonly #clock: Clock;
  readonly #state: NodeStateStore;
  readonly #saveIntervalMs: number;
  readonly #peers = new Map<NodeId, Remembered>();

  constructor(deps: { readonly clock: Clock; readonly state: NodeStateStore }, options: { readonly saveIntervalMs: number }) {
    this.#clock = deps.clock;
    this.#state = deps.state;
    this.#saveIntervalMs = options.saveIntervalMs;
  }

  /** Raises what is remembered of the peer; lower values are ignored. */
  saw(peer: NodeId, seen: BootPosition): void {
    const known = this.#peers.get(peer);
    const before = this.of(peer);
    const boot = Math.max(before.boot, seen.boot);
    const position = Math.max(before.position, seen.position);
    if (known !== undefined && boot === before.boot && position === before.position) return;
    const now = this.#clock.monotonicNow();
    const isDue = known === undefined || boot > known.savedBoot || elapsedMs(known.savedAt, now) >= this.#saveIntervalMs;
    if (isDue) this.#state.remember(peer, boot, position);
    this.#peers.set(peer, { boot, position, savedAt: isDue ? now : known.savedAt, savedBoot: isDue ? boot : known.savedBoot });
  }

  of(peer: NodeId): BootPosition {
    const known = this.#peers.get(peer) ?? this.#state.remembered(peer);
    return known === null ? { boot: 0, position: 0 } : { boot: known.boot, position: known.position };
  }

  /** Answers a peer's question whether it came back with all it had. */
  confirms(peer: NodeId, recovered: BootPosition): boolean {
    const known = this.of(peer);
    return recovered.boot >= known.boot && recovered.position >= known.position;
  }
}
