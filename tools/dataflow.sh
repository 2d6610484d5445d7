#!/bin/bash
# Prepares a corpus on many machines of Google's Dataflow. From the root of the repository, in an environment with
# `pip install -e '.[dataflow]'`:
#
#   export PROJECT=PROJECT REGION=us-west4 BUCKET=gs://BUCKET ACCOUNT=lips@PROJECT.iam.gserviceaccount.com
#   tools/dataflow.sh --layout=lrs2 --source=$BUCKET/lrs2 --output=$BUCKET/prepared
#
# Other flags are those of data_pipeline.preprocess, among them --beam_option. WORKERS is the most machines at a time,
# MACHINE their type. DRY_RUN=1 prints the commands.
set -eu

. tools/common.sh

need PROJECT REGION BUCKET ACCOUNT
# Workers install what is committed, and gcsfs, with all that they need, when they start.
mkdir "$temporary/source"
git archive HEAD | tar -x -C "$temporary/source"
run python -m pip wheel --quiet --no-deps --wheel-dir="$temporary" "$temporary/source" gcsfs
[ -z "${DRY_RUN:-}" ] || touch "$temporary/NAME.whl"

options=(--project="$PROJECT" --region="$REGION" --temp_location="$BUCKET/dataflow" --service_account_email="$ACCOUNT"
  --max_num_workers="${WORKERS:-20}" --machine_type="${MACHINE:-n2-standard-8}")
for wheel in "$temporary"/*.whl; do
  options+=(--extra_package="$wheel")
done
run python -m data_pipeline.preprocess --beam_runner=DataflowRunner "${options[@]/#/--beam_option=}" "$@"
