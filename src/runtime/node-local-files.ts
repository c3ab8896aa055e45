/** The LocalFiles door on Node. Unfinished files are in part-file.ts. */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import type { FilePlace, FoundFile, LocalFiles, OpenFile, SkippedFile } from '../ports/local-files.ts';
import { openForReading } from './open-file.ts';
import { NodeFilePlace } from './part-file.ts';

export class NodeLocalFiles implements LocalFiles {
  async read(file: string, bytesMax: number): Promise<Buffer> {
    const handle = await fs.open(file, 'r');
    try {
      const stat = await handle.stat();
      if (stat.isDirectory()) throw new Error(`${file} is a directory`);
      if (stat.size > bytesMax) throw new Error(`${file} has ${stat.size} bytes, at most ${bytesMax} are taken`);
      const bytes = await handle.readFile();
      if (bytes.length > bytesMax) throw new Error(`${file} has more than ${bytesMax} bytes`);
      return bytes;
    } finally {
      await handle.close();
    }
  }

  async open(file: string): Promise<OpenFile> {
    // Looked at before it is opened: opening a pipe waits for its other end.
    const stat = await fs.stat(file);
    if (stat.isDirectory()) throw new Error(`${file} is a directory; with -r all files below it are meant`);
    if (!stat.isFile()) throw new Error(`${file} is no regular file`);
    return await openForReading(file, stat.size);
  }

  async isDirectory(file: string): Promise<boolean> {
    return (await fs.stat(file)).isDirectory();
  }

  walk(directory: string): AsyncIterable<FoundFile | SkippedFile> {
    return walkBelow(directory, []);
  }

  async place(file: string): Promise<FilePlace> {
    const stat = await fs.stat(file).catch(() => null);
    if (stat?.isDirectory() === true) throw new Error(`${file} is a directory`);
    if (stat?.isFile() === false) throw new Error(`${file} is no regular file; -o - prints`);
    return new NodeFilePlace(file, () => Promise.resolve(path.resolve(file)));
  }

  async placeBelow(segments: readonly string[]): Promise<FilePlace> {
    for (const segment of segments) {
      if (segment === '' || segment === '.' || segment === '..' || path.basename(segment) !== segment) throw new Error(`"${segment}" can't be a file name here; use -o FILE`);
    }
    const root = await fs.realpath('.');
    return new NodeFilePlace(segments.join('/'), (how) => locateBelow(root, segments, how));
  }

  async makeDirectory(directory: string): Promise<void> {
    await fs.mkdir(directory, { recursive: true });
  }

  async createSecret(file: string, text: string): Promise<void> {
    await fs.writeFile(file, text, { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

/** Looks at every directory on the way, each time: any of them may be a link that leads elsewhere. */
async function locateBelow(root: string, segments: readonly string[], how: 'look' | 'make'): Promise<string | null> {
  const inside = root.endsWith(path.sep) ? root : root + path.sep;
  let directory = root;
  for (const segment of segments.slice(0, -1)) {
    const next = path.join(directory, segment);
    if (how === 'make') {
      await fs.mkdir(next).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
    }
    const real = await fs.realpath(next).catch((error: NodeJS.ErrnoException) => {
      if (how === 'look' && error.code === 'ENOENT') return null;
      throw error;
    });
    if (real === null) return null;
    if (!real.startsWith(inside)) throw new Error(`${path.relative(root, next)} is a link out of the current directory; use -o FILE`);
    directory = real;
  }
  const file = path.join(directory, segments.at(-1) ?? '');
  const stat = await fs.lstat(file).catch(() => null);
  if (stat?.isDirectory() === true) throw new Error(`${segments.join('/')} is a directory; use -o FILE`);
  return file;
}

async function* walkBelow(directory: string, above: readonly string[]): AsyncGenerator<FoundFile | SkippedFile> {
  const names = await fs.readdir(directory).catch(reason);
  if (typeof names === 'string') {
    yield { path: directory, skipped: names };
    return;
  }
  for (const name of names.sort()) {
    const file = path.join(directory, name);
    const entry = await fs.lstat(file).catch(reason);
    const stat = typeof entry !== 'string' && entry.isSymbolicLink() ? await fs.stat(file).catch(reason) : entry;
    if (typeof entry === 'string') yield { path: file, skipped: entry };
    else if (typeof stat === 'string') yield { path: file, skipped: stat };
    else if (entry.isDirectory()) yield* walkBelow(file, [...above, name]);
    else if (stat.isFile()) yield { path: file, segments: [...above, name], size: stat.size };
    else yield { path: file, skipped: stat.isDirectory() ? 'is a link to a directory' : 'is no regular file' };
  }
}

function reason(error: NodeJS.ErrnoException): string {
  return error.message;
}
