/** The version that a process shows: the package's, and the commit where the platform tells it. */
import manifest from '../package.json' with { type: 'json' };

export function versionOf({ commit }: { readonly commit: string | undefined }): string {
  return commit ? `${manifest.version}+${commit}` : manifest.version;
}
