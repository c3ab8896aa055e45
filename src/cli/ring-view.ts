/**
 * The parts of the admin port's answers that commands read. They are what a node of this or another version sends, so a
 * command shows what is there and never trusts that it is complete.
 */
export interface RingJson {
  readonly epoch: number;
  readonly phase: string;
  readonly M: number;
  readonly replicationFactor: number;
  readonly members: readonly {
    readonly name: string;
    readonly key: number;
    readonly zone: string;
    readonly state: string;
    readonly liveness: string;
    readonly trouble?: string | null;
    readonly isVoter: boolean;
    readonly ownedShare: number;
    readonly heldShare: number;
  }[];
  readonly arcs: { readonly total: number; readonly healthy: number; readonly degraded: number; readonly unavailable: number };
  readonly moves: { readonly arcs: number; readonly keysLeft: number; readonly bytesLeft: number; readonly estimatedSeconds: number | null };
  readonly safety: string;
  readonly removal?: string;
  readonly warnings: readonly string[];
}

export interface ExplanationJson {
  readonly name: string;
  readonly hash: string;
  readonly key: number;
  readonly arc: { readonly from: number; readonly to: number };
  readonly epoch: number;
  readonly owner: string | null;
  readonly preferenceList: readonly {
    readonly node: string;
    readonly reason: string;
    readonly liveness: string;
    readonly holds: { readonly version: string | null; readonly kind: string; readonly size: number; readonly sha256: string | null; readonly durable: boolean } | null;
  }[];
  readonly nextOwner: string | null;
  readonly repairsPending: number;
}

export interface NodeJson {
  readonly host: string;
  readonly port: number;
  readonly state: string;
  readonly stateDetail: string;
  readonly epoch: number;
}
