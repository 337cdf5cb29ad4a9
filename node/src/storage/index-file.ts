import type { BlockCache } from './block-cache.ts';
import { IndexDamageError } from './errors.ts';
import { type IndexHeader, type IndexMagic, readIndexHeader } from './index-format.ts';
import { PageReader } from './index-page.ts';
import type { OpenFiles } from './open-files.ts';

export interface IndexFile {
  readonly pages: PageReader;
  readonly header: IndexHeader;
}

/** Opens an index file of any kind; its first page is verified, and its length is what the header says. */
export async function openIndexFile(
  files: OpenFiles,
  path: string,
  cache: BlockCache,
  magic: IndexMagic,
): Promise<IndexFile> {
  // An open handle may lead to a file that has been replaced since.
  await files.forget(path);
  const length = await files.files.sizeOf(path);
  if (length === null) throw new IndexDamageError(path, 'does not exist');
  const pages = new PageReader(cache, files.get(path, length));
  const header = readIndexHeader(await pages.open(), magic);
  if (typeof header === 'string') throw pages.damage(header);
  if (header.pages !== pages.pageCount) throw pages.damage('length differs from its header');
  return { pages, header };
}
