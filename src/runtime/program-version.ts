/**
 * What runs here: the program's version (package.json is the one place where it stands, from sources and from the build
 * alike), the revision of the source, which a build of the image hands over in SOURCE_REVISION, and Node's version.
 */
import { readFileSync } from 'node:fs';

export interface ProgramBuild {
  readonly version: string;
  readonly revision: string;
  readonly nodeVersion: string;
}

export function programBuild(): ProgramBuild {
  return { version: programVersion(), revision: process.env['SOURCE_REVISION'] || 'unknown', nodeVersion: process.versions.node };
}

export function programVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { readonly version: string };
  return version;
}
