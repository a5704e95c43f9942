from .folder import Result as Result
from .folder import translate_folder as translate_folder
from .model import Model as Model
from .model import load as load
