#!/bin/sh
# The agenda and the store against their models, from another seed each time: MODEL_SEED repeats a run.
export MODEL_SEED="${MODEL_SEED:-$(date +%s)}" MODEL_SEEDS="${MODEL_SEEDS:-60}" MODEL_STEPS="${MODEL_STEPS:-8000}"
echo "= from seed $MODEL_SEED on, $MODEL_SEEDS of them"
${SWIFT:-swift} build --build-tests || exit
${SWIFT:-swift} test --skip-build --disable-xctest --filter 'AgendaModelTests|StoreModelTests'
