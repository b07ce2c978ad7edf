/**
 * The web app's build, made once before whole systems start: in one folder, two of them could not
 * make it at once.
 */
import { buildWeb } from '@revos/local-stack/demo/web-build';

export default buildWeb;
