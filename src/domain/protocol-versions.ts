/** Versions of the peer protocol, both ends included. What each one adds: protocol/message-versions.ts. */
export interface VersionSpan {
  readonly min: number;
  readonly max: number;
}

/** What this build can speak. */
export const PROTOCOL_VERSIONS: VersionSpan = { min: 1, max: 2 };
