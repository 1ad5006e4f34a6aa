"""Words of other libraries for what has another name here, so that who uses them is told the right ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

# By our own name: Keras's, PyTorch's, Flax's, scikit-learn's and older ones, in lower case, letters and digits alone.
WORDS: Mapping[str, str] = {
    # layers
    "linear": "dense densegeneral fc fullyconnected fullconnection affine innerproduct lazylinear",
    "conv2d": "conv convolution convolutional cnn lazyconv2d depthwiseconv2d",
    "maxpool2d": "maxpool maxpooling pool pool2d pooling pooling2d max",
    "conv1d": "lazyconv1d temporalconvolution",
    "convtranspose2d": "convtranspose transposedconv transposedconv2d transposedconvolution deconvolution deconv "
    "lazyconvtranspose2d upconv",
    "separableconv2d": "separableconv depthwiseseparableconv depthwiseseparable",
    "maxpool1d": "pool1d pooling1d",
    "avgpool2d": "avgpool averagepool averagepooling avgpooling meanpool meanpooling",
    "lppool2d": "lppool lppooling",
    "adaptiveavgpool2d": "adaptiveavgpool adaptiveaveragepool adaptiveaveragepooling2d",
    "adaptivemaxpool2d": "adaptivemaxpool adaptivemaxpooling2d",
    "globalavgpool": "globalaveragepooling globalaveragepool globalpool globalpooling gap",
    "globalmaxpool": "globalmaxpooling gmp",
    "flatten": "flat ravel",
    "reshape": "view",
    "permute": "transpose swapaxes rearrange",
    "slice": "select narrow getitem laststep takelast",
    "upsample": "upsampling1d upsampling2d resize resizing upscale interpolate",
    "crop2d": "crop",
    "zeropad2d": "pad constantpad2d",
    "relu": "rectifier rectifiedlinear activation",
    "leakyrelu": "lrelu",
    "prelu": "parametricrelu",
    "rrelu": "randomizedrelu randomleakyrelu",
    "gelu": "newgelu quickgelu",
    "silu": "swish1",
    "hardswish": "hswish",
    "hardsigmoid": "hsigmoid",
    "identity": "noop nop passthrough",
    "scale": "layerscale rescale rescaling",
    "sigmoid": "logistic logit",
    "tanh": "hyperbolictangent",
    "softmax": "softmax2d output",
    "lstm": "cudnnlstm lstmcell longshorttermmemory",
    "gru": "cudnngru grucell",
    "rnn": "elman rnncell recurrent",
    "dropout": "drop",
    "dropout2d": "featuredropout",
    "droppath": "stochasticdropout",
    "gaussiannoise": "noise randomnoise",
    "batchnorm2d": "batchnorm bn bn2d batchnormalization batchnormalisation norm normalization",
    "batchnorm1d": "batchnorm bn bn1d batchnormalization batchnormalisation norm normalization",
    "add": "sum plus addition",
    "subtract": "sub minus difference",
    "multiply": "mul product times hadamard",
    "average": "mean avg",
    "maximum": "max",
    "concat": "concatenate concatenation cat merge join stack",
    "repeat": "loop",
    "parallel": "branch branches inception",
    "residual_block": "resblock resnet resnetblock basicblock skip skipconnection",
    # fields of layers
    "type": "name classname kind layer layertype class cls op optimizer",
    "in": "infeatures inputsize inputdim inputfeatures inputs input indim nin insize inchannels fanin",
    "out": "outfeatures outputsize outputdim outputfeatures outputs output outdim nout outsize outchannels size units "
    "numunits nunits neurons nodes hidden hiddensize hiddenunits features width dim filters fanout",
    "in_channels": "in inputchannels infeatures channelsin nin inputs input inputdim infilters",
    "out_channels": "out outputchannels outfeatures channelsout nout outputs output units features channels filter "
    "filters nfilters numfilters nbfilter kernels numkernels outfilters depth",
    "kernel_size": "kernel kernels kernelshape ksize filtersize windowsize window windowshape poolsize size k",
    "stride": "strides step steps subsampling",
    "padding": "pad pads bordermode",
    "dilation": "dilations dilationrate kerneldilation rate",
    "groups": "group featuregroupcount ngroups",
    "bias": "usebias hasbias withbias",
    "p": "rate dropoutrate droprate dropprob dropoutprob probability prob dropout",
    "inputs": "input inbound inboundnodes inboundlayers sources parents",
    "shares": "share sharedwith sharesweights tied tiedto weightsof weightsfrom",
    "num_features": "features channels numchannels size in inchannels infeatures units",
    "eps": "epsilon fuzz",
    # hyperparameters
    "epochs": "epoch nepochs nbepoch nbepochs numepochs maxepochs iterations maxiter numtrainepochs trainepochs",
    "batch_size": "batch batches bs nbatch minibatch minibatchsize batchlength perdevicetrainbatchsize",
    "optimizer": "optimiser opt optim solver algorithm",
    "loss": "lossfunction lossfn lossfunc criterion objective cost",
    "seed": "randomseed randomstate rng rngseed manualseed",
    "train_split": "split validationsplit valsplit testsplit trainratio trainfraction trainsize trainpart",
    "shuffle": "shuffled reshuffle",
    "max_samples": "samples nsamples numsamples maxsize limit subset samplesize trainsamples",
    "dataset_type": "dataset data datasetname datasettype dataname",
    "keep_best": "savebest savebestonly restorebest restorebestweights checkpointbest",
    "early_stopping": "earlystop earlystopper stopearly",
    "target": "targetaccuracy targetmetric goal stopat timetoaccuracy",
    "max_seconds": "maxtime timelimit timeout maxduration traintime budget maxtrainseconds",
    "max_steps": "maxiterations trainsteps numsteps nsteps numtrainsteps maxupdates totalsteps",
    "patience": "earlystop wait",
    "min_delta": "mindelta threshold tolerance tol",
    "metric": "monitor quantity validationmetric",
    "goal": "mode direction",
    "accumulate": "gradientaccumulation gradientaccumulationsteps accumulategradbatches accumulationsteps gradaccum "
    "gradaccumulation gradientaccumulationbatches everykschedule accumulation accum",
    "ema": "exponentialmovingaverage modelema useema averagedmodel weightaveraging polyak polyakaveraging",
    "swa": "stochasticweightaveraging weightaveraging averagedmodel",
    "precision": "dtype mixedprecision amp computedtype",
    "augment": "augmentation augmentations dataaugmentation transforms transform preprocessing",
    "test_time_augmentation": "tta testtimeaugment",
    "gradient_clip_norm": "maxgradnorm gradclip clipnorm clipgradnorm globalclipnorm gradientclipping gradclipnorm",
    "gradient_clip_value": "clipvalue clipgradvalue gradclipvalue",
    "log_every": "logsteps loggingsteps logeverynsteps logeverysteps logfrequency loginterval",
    "frozen": "freeze frozenlayers freezelayers nontrainable",
    "weight": "classweight classweights",
    "device": "accelerator platform backend deviceid hardware",
    # optimizers and their fields
    "sgd": "gradientdescent gd stochasticgradientdescent momentum nesterov",
    "adam": "amsgrad",
    "rmsprop": "rms",
    "lr": "learningrate baselr stepsize eta lrate initiallr initlr learningrateinit alpha",
    "momentum": "mom momentumdecay",
    "weight_decay": "decay wd l2 l2regularization weightdecayrate",
    "betas": "beta beta1 beta2 b1 b2",
    "alpha": "rho decayrate smoothing",
    # schedules
    "lr_schedule": "lrscheduler scheduler schedule learningrateschedule learningratescheduler lrdecay decay",
    "constant": "constantlr constantwithwarmup none fixed",
    "step": "steplr staircase",
    "multistep": "multisteplr milestones",
    "exponential": "exponentiallr exponentialdecay",
    "polynomial": "polynomiallr polynomialdecay",
    "one_cycle": "onecyclelr superconvergence",
    "inverse_sqrt": "inversesquareroot noamlr transformer",
    "wsd": "trapezoid warmupstabledecay",
    "reduce_on_plateau": "reducelronplateau plateau",
    "piecewise": "piecewiseconstantdecay piecewiseinterpolate interpolate triangular",
    "warmup_epochs": "warmup warmupsteps warmupfraction warmupperiod numwarmupsteps warmuplength",
    "final_lr": "endvalue endlr lrmin minimumlr finallearningrate minlearningrate",
    "milestones_epochs": "boundaries",
    "step_epochs": "stepsize every decaysteps",
    "points": "values pairs knots",
    # values
    "cross_entropy": "crossentropyloss categoricalcrossentropy sparsecategoricalcrossentropy softmaxcrossentropy ce "
    "logloss softmaxloss",
    "bce": "bceloss bcewithlogits bcewithlogitsloss binarycrossentropy binarycrossentropywithlogits multilabel",
    "focal": "focalloss categoricalfocalcrossentropy sigmoidfocalloss",
    "mse": "mseloss meansquarederror squarederror l2loss brier",
    "mae": "maeloss meanabsoluteerror absoluteerror l1loss",
    "huber": "huberloss",
    "smooth_l1": "smoothl1loss smoothmae",
    "log_cosh": "logcoshloss",
    "hinge": "hingeloss multimargin multimarginloss categoricalhinge multiclasshinge svm",
    "nll": "nllloss negativeloglikelihood",
    "kl_div": "kldiv kldivloss kldivergence kullbackleibler kl",
    "poisson_nll": "poissonnllloss poissonloss",
    "cosine": "cosineembeddingloss cosineproximity cosineloss cosineannealing cosineannealinglr cosinedecay "
    "cosineannealingwarmrestarts cosinedecayrestarts sgdr warmupcosine cosinewithwarmup",
    "contrastive": "contrastiveloss supervisedcontrastive supcon supconloss ntxent infonce simclr",
    "triplet": "tripletloss tripletmargin tripletmarginloss batchhard",
    "label_smoothing": "smoothing labelsmooth labelsmoothingfactor",
    "float32": "fp32 f32 single full",
    "bfloat16": "bf16 fp16 f16 float16 half mixed mixedbfloat16 mixedfloat16",
    "fashion_mnist": "fashion fmnist",
    "kmnist": "kuzushiji kuzushijimnist",
    "emnist": "emnistletters letters",
    "cifar10": "cifar",
    "digits": "sklearn sklearndigits loaddigits opticaldigits",
    "same": "half samepadding",
    "valid": "none nopadding validpadding",
    # top-level fields
    "architecture": "arch network net model structure topology graph",
    "hyperparams": "hyperparameters hparams params parameters config settings training",
    "layers": "layer modules blocks nodes",
    "name": "title modelname label",
    "description": "desc notes comment text",
    "model_id": "id model",
    "run_id": "id run",
    "pixels": "pixel image img input inputs x data features instance values",
    "batch": "images inputs instances pixelsbatch data samples xs",
    "queue": "wait enqueue queued",
    "resume_from": "resume continuefrom checkpoint from basedon parentrun",
    "input_channels": "channels inchannels nchannels",
    "input_height": "height rows",
    "input_width": "width cols columns",
    "input_size": "inputdim nin inputs inputfeatures",
}
# Words whose values say something else than those of the field that they stand for, and what the latter say.
OTHERWISE: Mapping[str, str] = {
    **dict.fromkeys(("validationsplit", "valsplit", "testsplit"), "the share that trains"),
    **dict.fromkeys(
        ("iterations", "warmupsteps", "numwarmupsteps", "decaysteps", "boundaries"), "which counts epochs, not steps"
    ),
    "warmupfraction": "which counts epochs",
    **dict.fromkeys(("beta", "beta1", "beta2", "b1", "b2"), "a pair of numbers"),
}
LISTED = {name: frozenset(words.split()) for name, words in WORDS.items()}
LONGEST = 100  # characters of a word that are looked at


def plain(word: str) -> str:
    """Without case, dots before it, and what is no letter or digit: `nn.MaxPool2d`, `max_pool_2d` and `MaxPool2D`."""
    kept = "".join(filter(str.isalnum, word[:LONGEST].rpartition(".")[2])).lower()
    return kept.removesuffix("layer") or kept


def otherwise(word: str) -> str:
    """What values of the field that a word stands for say, where those of the word say something else; else nothing."""
    return OTHERWISE.get(plain(word), "")


def meant(word: str, known: Iterable[str]) -> list[str]:
    """Which of `known` a word stands for: the same but for its spelling, or another library's for it."""
    listed, wanted = list(known), plain(word)
    same = [name for name in listed if plain(name) == wanted]
    return same[:1] or [name for name in listed if wanted in LISTED.get(name, ())]


def closest(word: object, known: Iterable[str]) -> list[str]:
    """Which of `known` a word stands for, else the one that is spelled nearly so, else none."""
    if not isinstance(word, str):
        return []
    names = {plain(name): name for name in known}
    near = difflib.get_close_matches(plain(word), names, n=1, cutoff=0.6)
    return meant(word, names.values()) or [names[name] for name in near]
