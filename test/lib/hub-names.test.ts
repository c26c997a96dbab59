// SPDX-License-Identifier: Apache-2.0
// What a text means as a place of weights, which file of a folder is the checkpoint, and timm's names as
// repositories. Nothing is fetched.

import { strict as assert } from 'node:assert';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';

import { EfficientNetError } from '../../lib/errors.js';
import { chooseFile, hasUsualName } from '../../lib/hub/choose.js';
import { readHub } from '../../lib/hub/endpoint.js';
import { looksLikeRepository, parseRepository } from '../../lib/hub/name.js';
import { repositoryFor, repositoryOf } from '../../lib/hub/timm.js';
import { locate, placeOf, placeOfName } from '../../lib/locate.js';

const refuses = (action: () => unknown, code: string, pattern: RegExp): void =>
  assert.throws(action, (error: unknown) => error instanceof EfficientNetError && error.code === code && pattern.test(error.message));

describe('places of weights', () => {
  it('tells paths, addresses and repositories apart', () => {
    for (const path of ['b0.pth', './a/b.safetensors', 'timm/x', 'C\\x.pth', 'odd:name.pth', '/tmp/x', '~/x']) assert.equal(placeOf(path).kind, 'path', path);
    assert.deepEqual(placeOf('file:///tmp/x.pth'), { kind: 'path', path: new URL('file:///tmp/x.pth') });
    for (const url of ['https://example.org/x.pth?a=b', 'HTTP://example.org']) assert.equal(placeOf(url).kind, 'address', url);
    assert.equal(placeOf(new URL('https://example.org/x')).kind, 'address');
    assert.deepEqual(placeOf('hf-hub:timm/x@v1'), { kind: 'repository', name: 'hf-hub:timm/x@v1' });
    for (const wrong of ['s3://bucket/x', 'data:,x', 'hf-hub:x', 'blob:x']) refuses(() => placeOf(wrong), 'ERR_INVALID_ARGUMENT', /Expected/);
    refuses(() => placeOf(new URL('ftp://user:secret@example.org')), 'ERR_INVALID_ARGUMENT', /^(?!.*secret)/);
    assert.equal(placeOfName('b0').kind, 'catalogue');
    assert.equal(placeOfName('timm/b0').kind, 'repository');
    refuses(() => placeOfName('timm/b0@'), 'ERR_INVALID_ARGUMENT', /owner\/name@revision/);
  });

  it('reads names of repositories', () => {
    assert.deepEqual(parseRepository('timm/efficientnet_b0.ra_in1k'), { id: 'timm/efficientnet_b0.ra_in1k', revision: 'main' });
    assert.deepEqual(parseRepository('hf_hub:a/b@refs/pr/1'), { id: 'a/b', revision: 'refs/pr/1' });
    for (const wrong of ['a', 'a/b/c', '/a/b', 'a/b@', 'a/..', '../b', 'a/b--c', 'a/-b', 'a/b@x/../y', 'a/b@-x', 'a/b@a b', `a/${'b'.repeat(97)}`, 'a/b\n', 'a/b@x\n']) {
      refuses(() => parseRepository(wrong), 'ERR_INVALID_ARGUMENT', /owner\/name/);
    }
    assert.ok(!looksLikeRepository('b0') && !looksLikeRepository('tf_efficientnet_b0.ns_jft_in1k') && looksLikeRepository('a/b@c/d'));
  });

  it('reads the settings of the Python library', () => {
    const { endpoint, folder, offline, tokenSource, token } = readHub({ HF_HOME: '~/h', HF_ENDPOINT: 'https://mirror.example/hub/', HF_TOKEN: 't', HF_HUB_OFFLINE: 'yes' });
    assert.deepEqual([endpoint.href, folder, offline, tokenSource, token()], ['https://mirror.example/hub', join(homedir(), 'h', 'hub'), true, 'HF_TOKEN', 't']);
    assert.ok(!inspect(readHub({ HF_TOKEN: 'hf_secret' }), { depth: 9 }).includes('hf_secret'));
    assert.equal(readHub({ HF_HOME: '/none' }).folder, join('/none', 'hub'));
    assert.equal(readHub({ HF_HOME: '/none', HUGGINGFACE_HUB_CACHE: '${HF_HOME}/x' }).folder, '/none/x');
    assert.equal(readHub({ HF_HOME: '/none', HUGGING_FACE_HUB_TOKEN: 'old' }).token(), 'old');
    assert.equal(readHub({ HF_HOME: '/none' }).endpoint.protocol, 'https:');
    for (const wrong of ['ftp://x', 'nonsense', 'https://u:p@x']) refuses(() => readHub({ HF_HOME: '/none', HF_ENDPOINT: wrong }), 'ERR_INVALID_ARGUMENT', /HF_ENDPOINT/);
  });

  it('chooses a file by its format, and asks where it cannot', () => {
    const choose = (...files: readonly string[]): string => chooseFile(files, 'x');
    assert.equal(choose('pytorch_model.bin', 'model.safetensors', 'tf_model.h5'), 'model.safetensors');
    assert.equal(choose('model.safetensors.index.json', 'model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'), 'model.safetensors.index.json');
    assert.equal(choose('pytorch_model.bin', 'training_args.bin', 'optimizer.pt', 'README.md'), 'pytorch_model.bin');
    assert.equal(choose('best.pth', 'training_args.bin', 'runs/optimizer.bin'), 'best.pth');
    assert.equal(choose('onnx/model.onnx', 'config.json', 'onnx/model_quantized.onnx'), 'onnx/model.onnx');
    assert.equal(choose('model.json', 'group1-shard1of1.bin', 'group1-shard2of2.bin', 'model.tflite'), 'model.tflite');
    refuses(() => choose('a.pth', 'b.pth'), 'ERR_FILE', /2 checkpoints: "a\.pth", "b\.pth".*option file/);
    refuses(() => choose(...Array.from({ length: 30 }, (_, i) => `${i}.txt`)), 'ERR_FILE', /and 18 more/);
    assert.ok(hasUsualName('pytorch_model.bin') && !hasUsualName('best.pth'));
  });

  it("knows timm's names as repositories", () => {
    assert.equal(repositoryOf('tf_efficientnet_b0.ns_jft_in1k'), 'timm/tf_efficientnet_b0.ns_jft_in1k');
    assert.equal(repositoryOf('efficientnet_b0.new_tag'), 'timm/efficientnet_b0.new_tag');
    assert.equal(repositoryOf('tf_efficientnet_b7_ns'), 'timm/tf_efficientnet_b7.ns_jft_in1k');
    for (const name of ['b0', 'efficientnet_b0', 'tf_efficientnet_b3', 'efficientnet-b4']) assert.equal(repositoryOf(name), undefined, name);
    assert.equal(repositoryFor('b3'), 'timm/efficientnet_b3.ra2_in1k');
    assert.equal(repositoryFor('v2-s'), 'timm/tf_efficientnetv2_s.in21k_ft_in1k');
    assert.equal(repositoryFor('none'), undefined);
  });

  it('fetches no other weights than those that a name asks for', async () => {
    const options = { named: true, offline: true };
    const located = (name: string): Promise<unknown> => locate(placeOfName(name), options);
    const rejects = (name: string, code: string, pattern: RegExp): Promise<void> =>
      assert.rejects(located(name), (error: unknown) => error instanceof EfficientNetError && error.code === code && pattern.test(error.message));
    const before = process.env['HF_HUB_CACHE'];
    process.env['HF_HUB_CACHE'] = join(homedir(), 'never-made');
    try {
      await rejects('b3', 'ERR_UNKNOWN_ARCHITECTURE', /only of b0.*'timm\/efficientnet_b3\.ra2_in1k'/);
      await rejects('tf_efficientnet_b0.ns_jft_in1k', 'ERR_OFFLINE', /timm\/tf_efficientnet_b0\.ns_jft_in1k is not cached/);
      await rejects('efficientnet_b0.imagenet1k_v1', 'ERR_UNKNOWN_ARCHITECTURE', /"efficientnet_b0\.imagenet1k_v1"/);
    } finally {
      if (before === undefined) delete process.env['HF_HUB_CACHE'];
      else process.env['HF_HUB_CACHE'] = before;
    }
  });
});
